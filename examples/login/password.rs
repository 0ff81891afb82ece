//! Answers the question how to log in with a password, which is asked for, and again if it was wrong.

use matrix_login::{Choice, LoginTypes, ServerError, one_line};
use url::Url;

use crate::{
    driver::{self, Answers},
    failure::Failure,
    person::Person,
    who::User,
};

/// How often a password may be typed.
const MAX_TRIES: u32 = 3;

/// Answers with the password of a user.
pub struct WithPassword<'a> {
    user: User,
    person: &'a mut Person,
    tries: u32,
}

impl Answers for WithPassword<'_> {
    fn choose(&mut self, login_types: &LoginTypes, refused: Option<&ServerError>) -> Result<Choice, Failure> {
        driver::offered(login_types, "m.login.password", "password")?;
        if let Some(refused) = refused {
            self.try_again(refused)?;
        }
        self.tries += 1;
        let password = self.person.password(&self.user.shown)?;
        Ok(Choice::password(self.user.identifier.clone(), password))
    }

    fn browse(&mut self, _: &Url) -> Result<Url, Failure> {
        unreachable!("nobody chose single sign-on")
    }

    fn came_back(&mut self, _: bool) {}
}

impl<'a> WithPassword<'a> {
    pub fn new(user: User, person: &'a mut Person) -> Self {
        Self { user, person, tries: 0 }
    }

    /// Says why the last password was refused, if there is somebody who can type another.
    fn try_again(&self, refused: &ServerError) -> Result<(), Failure> {
        let wrong_password = refused.errcode.as_deref() == Some("M_FORBIDDEN");
        if wrong_password && self.tries < MAX_TRIES && self.person.can_be_asked_again() {
            say!("{}; try again", one_line(&refused.to_string()));
            return Ok(());
        }
        let advice =
            if wrong_password { "check the user and the password" } else { "ask the administrator of the homeserver" };
        Err(Failure(format!("{refused}; {advice}")))
    }
}

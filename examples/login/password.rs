//! Chooses how to log in. At a terminal, this is OAuth 2.0 if the homeserver has it and the user agrees: with a
//! browser, or with a code on a machine without a browser. Otherwise it is a password. If the password was wrong, the
//! program asks again.

use matrix_login::{Action, Choice, LoginType, ServerError, one_line};
use url::Url;

use crate::{
    browser::{self, Browser},
    device,
    driver::{self, Answers, Api, Callback, Question},
    failure::Failure,
    person::Person,
    who::User,
};

/// How often the user can type a password.
const MAX_TRIES: u32 = 3;

/// Which API to ask for. If the password comes from a pipe, no user can open a browser. So the program does not ask for
/// OAuth 2.0, which saves a request.
pub fn api(legacy: bool, person: &Person) -> Api {
    if legacy || !person.can_answer_yes_or_no() { Api::Legacy } else { Api::Any }
}

/// Answers with the password of a user, or with a login in a browser.
pub struct WithPassword<'a> {
    user: User,
    person: &'a mut Person,
    tries: u32,
    /// Whether to open a browser, or only print the URL.
    opens: bool,
    /// The browser, if the user has chosen it.
    browser: Option<Browser>,
    /// Whether a code was chosen.
    has_code: bool,
}

/// What to do if a homeserver offers neither a password nor a login in a browser, but a code.
const USE_A_CODE: &str = "log in with a code: cargo run --example login -- --device SERVER";

impl Answers for WithPassword<'_> {
    fn choose(&mut self, question: &Question<'_>) -> Result<Choice, Failure> {
        match question.refused {
            Some(refused) if self.has_code => return Err(device::refused(refused)),
            Some(refused) if self.browser.is_some() => return Err(browser::refused(refused)),
            Some(refused) => self.try_again(refused)?,
            None => {
                if let Some(choice) = self.oauth_choice(question)? {
                    return Ok(choice);
                }
                // If the user was asked about the browser, this is already clear.
                if question.oauth.is_none() && question.login_types.iter().any(LoginType::oauth_aware_preferred) {
                    say!("the homeserver asks people to {}", driver::USE_A_BROWSER);
                }
            }
        }
        driver::offered(question.login_types, "m.login.password", "password").map_err(|Failure(reason)| {
            let only_code = question.device_grant().is_some() && question.code_grant().is_none();
            let advice = if only_code { USE_A_CODE } else { driver::USE_A_BROWSER };
            Failure(format!("{reason}; {advice}"))
        })?;
        self.tries += 1;
        let password = self.person.password(&self.user.shown)?;
        Ok(Choice::password(self.user.identifier.clone(), password))
    }

    fn browse(&mut self, url: &Url) -> Result<Url, Failure> {
        self.browser().visit(url)
    }

    fn came_back(&mut self, callback: Callback) {
        self.browser().came_back(callback);
    }
}

impl<'a> WithPassword<'a> {
    pub fn new(user: User, opens: bool, person: &'a mut Person) -> Self {
        Self { user, person, tries: 0, opens, browser: None, has_code: false }
    }

    /// The choice of OAuth 2.0, if the homeserver has it and the user wants to use a browser, on this or another
    /// machine.
    fn oauth_choice(&mut self, question: &Question<'_>) -> Result<Option<Choice>, Failure> {
        if self.opens && question.device_grant().is_some() && device::lacks_browser() {
            let choice = device::wanted(question, self.person)?;
            self.has_code = choice.is_some();
            return Ok(choice);
        }
        match question.code_grant() {
            Some(metadata) if browser::is_wanted(question, metadata, self.person)? => {
                let browser = Browser::new(self.opens, browser::PATIENCE, None)?;
                self.browser.insert(browser).code_choice(question, Action::Login).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn browser(&mut self) -> &mut Browser {
        self.browser.as_mut().expect("only a choice of the browser leads to it")
    }

    /// Says why the last password was refused, if the user can type another one.
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

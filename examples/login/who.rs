//! Reads what a person typed: the user who logs in, and the server.

use matrix_login::{Meaning, ServerAddress, ServerName, Typed, UserIdentifier, one_line};

use crate::{failure::Failure, person::Person};

/// The user who logs in.
pub struct User {
    pub identifier: UserIdentifier,
    /// The user as text, for the question for the password.
    pub shown: String,
    /// The server of a user ID. Other identifiers contain no server.
    pub server_name: Option<ServerName>,
}

impl User {
    /// Reads the text for the user. If the text can mean more than one thing, asks the person. If no person can answer,
    /// this uses the most likely meaning and says so.
    ///
    /// # Errors
    ///
    /// What to type instead.
    pub fn typed(text: &str, person: &mut Person) -> Result<Self, Failure> {
        let typed: Typed = text.parse()?;
        let meanings: Vec<&Meaning> = typed.meanings().filter(|meaning| is_user(meaning)).collect();
        let meaning = match meanings.as_slice() {
            [] => return Err(Failure(format!("{} is a {}, not a user", typed.best(), typed.best().kind()))),
            [only] => {
                if !typed.is_sure() && typed.others().is_empty() {
                    say!("reading {} as {}", one_line(typed.as_str()), one_line(&only.to_string()));
                }
                only
            }
            [first, others @ ..] => ask(&typed, first, others, person)?,
        };
        match meaning {
            Meaning::NationalPhoneNumber(number) => {
                let country = person.ask("Country of the phone number, such as GB: ", "a country for --phone")?;
                Self::phone(country.trim(), number)
            }
            _ => Self::meant(meaning),
        }
    }

    /// The user with this e-mail address.
    pub fn email(address: &str) -> Result<Self, Failure> {
        match address.parse::<Typed>()?.meanings().find(|meaning| matches!(meaning, Meaning::Email(_))) {
            Some(meaning) => Self::meant(meaning),
            None => Err(Failure("--email: expected an address such as alice@example.org".to_owned())),
        }
    }

    /// The user with this phone number, as people dial it inside a country.
    pub fn phone(country: &str, number: &str) -> Result<Self, Failure> {
        let number = number.trim();
        Ok(Self { identifier: UserIdentifier::phone(country, number)?, shown: number.to_owned(), server_name: None })
    }

    fn meant(meaning: &Meaning) -> Result<Self, Failure> {
        let server_name = if let Meaning::UserId(user_id) = meaning { Some(user_id.server_name()) } else { None };
        Ok(Self { identifier: UserIdentifier::try_from(meaning)?, shown: one_line(&meaning.to_string()), server_name })
    }
}

/// Asks which of several meanings is right.
fn ask<'a>(
    typed: &Typed,
    mut meaning: &'a Meaning,
    others: &[&'a Meaning],
    person: &mut Person,
) -> Result<&'a Meaning, Failure> {
    let text = one_line(typed.as_str());
    if !person.can_answer_yes_or_no() {
        let others: Vec<String> =
            others.iter().map(|other| format!("{} {other}", with_article(other.kind()))).collect();
        let others = one_line(&others.join(", or "));
        say!("reading {text} as {}; it can also be {others}", with_article(meaning.kind()));
        return Ok(meaning);
    }
    for other in others {
        if person.confirms(&format!("Is {text} {}?", with_article(meaning.kind())))? {
            break;
        }
        meaning = other;
    }
    Ok(meaning)
}

fn is_user(meaning: &Meaning) -> bool {
    matches!(meaning, Meaning::NationalPhoneNumber(_)) || UserIdentifier::try_from(meaning).is_ok()
}

fn with_article(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with('e') { "an" } else { "a" })
}

/// The address in the text for a homeserver.
///
/// # Errors
///
/// What to type instead.
pub fn address(text: &str) -> Result<ServerAddress, Failure> {
    Ok(ServerAddress::try_from(&text.parse::<Typed>()?)?)
}

/// The server in the text. A user ID means its server.
///
/// # Errors
///
/// What to type instead.
pub fn server(text: &str) -> Result<ServerAddress, Failure> {
    let typed: Typed = text.parse()?;
    let server_name = typed.meanings().find_map(|meaning| match meaning {
        Meaning::UserId(user_id) => Some(user_id.server_name()),
        _ => None,
    });
    match server_name {
        Some(server_name) => Ok(ServerAddress::ServerName(server_name)),
        None => Ok(ServerAddress::try_from(&typed)?),
    }
}

//! Who logs in: the `identifier` object of a login request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::address::third_party;
use crate::address::typed::{Meaning, Typed};
use crate::address::user_id::UserId;
use crate::blank::trimmed;
use crate::fields::{Fields, raw_members};
use crate::invalid_input::InvalidInput;

/// A user identifier (specification, "Identifier types").
///
/// ```
/// use matrix_login::UserIdentifier;
///
/// let by_name = UserIdentifier::user("alice");
/// let by_user_id = UserIdentifier::user("@alice:example.org");
/// let by_email = UserIdentifier::email("alice@example.org");
/// let by_msisdn = UserIdentifier::msisdn("+44 7700 900-123")?;
/// let by_phone = UserIdentifier::phone("GB", "07700 900123")?;
/// # Ok::<(), matrix_login::InvalidInput>(())
/// ```
#[derive(Clone, Serialize)]
pub struct UserIdentifier {
    #[serde(rename = "type")]
    identifier_type: Cow<'static, str>,
    #[serde(flatten)]
    fields: IdentifierFields,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum IdentifierFields {
    User { user: String },
    ThirdParty { medium: String, address: String },
    // The specification says `phone`, but Synapse refuses an identifier without `number`.
    Phone { country: String, phone: String, number: String },
    Custom(#[serde(serialize_with = "raw_members")] Fields),
}

impl UserIdentifier {
    /// `m.id.user`: a localpart or a full user ID. The homeserver accepts both.
    ///
    /// Spaces and invisible characters (such as a zero-width space) at the ends are removed: a keyboard or a copied
    /// text adds them.
    pub fn user(user: impl Into<String>) -> Self {
        Self::of_type("m.id.user", IdentifierFields::User { user: trimmed(user.into()) })
    }

    /// `m.id.thirdparty` with the medium `email`. Spaces at the ends are removed, as in [`user`](Self::user).
    ///
    /// The domain is the part after the last `@`. It is sent in lower case, as homeservers store it. The part before it
    /// stays unchanged.
    pub fn email(address: impl Into<String>) -> Self {
        Self::third_party_of("email", third_party::email(&address.into()))
    }

    /// `m.id.thirdparty` with the medium `msisdn`: an international number. `+`, blanks and dashes are removed, since
    /// homeservers store only the digits.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if other characters than digits are left, or no digits.
    pub fn msisdn(number: &str) -> Result<Self, InvalidInput> {
        match third_party::digits(number) {
            Some(digits) => Ok(Self::third_party_of("msisdn", digits)),
            None => Err(not_international()),
        }
    }

    /// `m.id.phone`: a number as people dial it inside a country. `country` is the two letters of the country (ISO
    /// 3166-1 alpha-2), in lower or upper case. The homeserver computes the international number.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the country is not two letters or the number is empty.
    pub fn phone(country: &str, number: impl Into<String>) -> Result<Self, InvalidInput> {
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(InvalidInput::new("country", "its two letters, such as GB"));
        }
        let number = number.into();
        if number.is_empty() {
            return Err(InvalidInput::new("phone number", "a number as it is dialled in the country"));
        }
        // Synapse knows only countries in capitals.
        let country = country.to_ascii_uppercase();
        Ok(Self::of_type("m.id.phone", IdentifierFields::Phone { country, phone: number.clone(), number }))
    }

    /// `m.id.thirdparty` with any medium. For the media `email` and `msisdn`, this is the same as
    /// [`email`](Self::email) and [`msisdn`](Self::msisdn).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the medium is empty, or if it is `msisdn` and the address is not a phone number.
    pub fn third_party(medium: impl Into<String>, address: impl Into<String>) -> Result<Self, InvalidInput> {
        let (medium, address) = (medium.into(), address.into());
        match medium.as_str() {
            "" => Err(InvalidInput::new("medium", "the kind of address, such as email")),
            "email" => Ok(Self::email(address)),
            "msisdn" => Self::msisdn(&address),
            _ => Ok(Self::third_party_of(medium, address)),
        }
    }

    /// An identifier of any other type, with its own fields, which are sent unchanged.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the type is empty, or if the fields contain `type`.
    pub fn custom(identifier_type: impl Into<String>, fields: Map<String, Value>) -> Result<Self, InvalidInput> {
        let identifier_type = identifier_type.into();
        if identifier_type.is_empty() {
            return Err(InvalidInput::new("identifier type", "a name, such as org.example.badge"));
        }
        if fields.contains_key("type") {
            return Err(InvalidInput::new("identifier field `type`", "to be left out, since it is the type itself"));
        }
        Ok(Self::of_type(identifier_type, IdentifierFields::Custom(fields.into())))
    }

    /// The identifier's type, such as `m.id.user`.
    pub fn identifier_type(&self) -> &str {
        &self.identifier_type
    }

    fn of_type(identifier_type: impl Into<Cow<'static, str>>, fields: IdentifierFields) -> Self {
        Self { identifier_type: identifier_type.into(), fields }
    }

    fn third_party_of(medium: impl Into<String>, address: String) -> Self {
        Self::of_type("m.id.thirdparty", IdentifierFields::ThirdParty { medium: medium.into(), address })
    }
}

impl From<&UserId> for UserIdentifier {
    fn from(user_id: &UserId) -> Self {
        Self::user(user_id.as_str())
    }
}

impl TryFrom<&Meaning> for UserIdentifier {
    type Error = InvalidInput;

    /// The identifier of a user, from one meaning of a text that a person typed.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the meaning is a server, or a phone number without its country code. For such a phone
    /// number, ask for the country and call [`phone`](Self::phone).
    fn try_from(meaning: &Meaning) -> Result<Self, InvalidInput> {
        match meaning {
            Meaning::UserId(user_id) => Ok(user_id.into()),
            Meaning::Localpart(localpart) => Ok(Self::user(localpart)),
            Meaning::Email(address) => Ok(Self::email(address)),
            Meaning::PhoneNumber(digits) => Self::msisdn(digits),
            Meaning::NationalPhoneNumber(_) => Err(not_international()),
            Meaning::ServerName(_) | Meaning::Homeserver(_) => {
                Err(InvalidInput::new("user", "a name, an e-mail address or a user ID such as @alice:example.org"))
            }
        }
    }
}

impl TryFrom<&Typed> for UserIdentifier {
    type Error = InvalidInput;

    /// The most likely meaning that is a user. If the text is not [sure](Typed::is_sure), a program should show this
    /// meaning, or ask the person.
    ///
    /// ```
    /// use matrix_login::{Typed, UserIdentifier};
    ///
    /// let typed: Typed = "https://matrix.to/#/%40alice%3Aexample.org".parse()?;
    /// assert_eq!(UserIdentifier::try_from(&typed)?.identifier_type(), "m.id.user");
    /// assert!(UserIdentifier::try_from(&"https://example.org".parse::<Typed>()?).is_err());
    /// # Ok::<(), matrix_login::InvalidInput>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the text cannot mean a user.
    fn try_from(typed: &Typed) -> Result<Self, InvalidInput> {
        let user = typed.meanings().find_map(|meaning| Self::try_from(meaning).ok());
        user.map_or_else(|| Self::try_from(typed.best()), Ok)
    }
}

fn not_international() -> InvalidInput {
    InvalidInput::new("phone number", "country code and digits, such as +44 7700 900123")
}

/// Shows only the type: an address is private, and custom fields can contain a secret.
impl std::fmt::Debug for UserIdentifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("UserIdentifier").field(&self.identifier_type()).finish()
    }
}

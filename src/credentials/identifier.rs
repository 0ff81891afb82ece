//! Who logs in: the `identifier` object of a login request.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::address::third_party;
use crate::address::typed::{Meaning, Typed};
use crate::address::user_id::UserId;
use crate::blank::trimmed;
use crate::fields::{Fields, as_they_stand};
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
    // The specification says `phone`; Synapse refuses the identifier unless `number` is there.
    Phone { country: String, phone: String, number: String },
    Custom(#[serde(serialize_with = "as_they_stand")] Fields),
}

impl UserIdentifier {
    /// `m.id.user`: a localpart or a full user ID; the homeserver takes both.
    ///
    /// Spaces at the ends are removed, and so are characters there that cannot be seen, such as a zero-width space: a
    /// keyboard or a copied text adds them.
    pub fn user(user: impl Into<String>) -> Self {
        Self::of_type("m.id.user", IdentifierFields::User { user: trimmed(user.into()) })
    }

    /// `m.id.thirdparty` with the medium `email`. Spaces at the ends are removed, as [`user`](Self::user) does.
    ///
    /// The domain, which is what follows the last `@`, is sent in lower case: homeservers store it so. What stands
    /// before it is kept.
    pub fn email(address: impl Into<String>) -> Self {
        Self::third_party_of("email", third_party::email(&address.into()))
    }

    /// `m.id.thirdparty` with the medium `msisdn`: an international number. `+`, blanks and dashes are removed, since
    /// homeservers store the digits alone.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if anything but digits is left, or nothing.
    pub fn msisdn(number: &str) -> Result<Self, InvalidInput> {
        match third_party::digits(number) {
            Some(digits) => Ok(Self::third_party_of("msisdn", digits)),
            None => Err(not_international()),
        }
    }

    /// `m.id.phone`: a number as it is dialled in a country, which is given by its two letters (ISO 3166-1 alpha-2) in
    /// either case. The homeserver makes the international number of it.
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
        // Synapse knows countries by capitals only.
        let country = country.to_ascii_uppercase();
        Ok(Self::of_type("m.id.phone", IdentifierFields::Phone { country, phone: number.clone(), number }))
    }

    /// `m.id.thirdparty` of any medium. The media `email` and `msisdn` are treated as [`email`](Self::email) and
    /// [`msisdn`](Self::msisdn) do.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the medium is empty, or as for [`msisdn`](Self::msisdn).
    pub fn third_party(medium: impl Into<String>, address: impl Into<String>) -> Result<Self, InvalidInput> {
        let (medium, address) = (medium.into(), address.into());
        match medium.as_str() {
            "" => Err(InvalidInput::new("medium", "the kind of address, such as email")),
            "email" => Ok(Self::email(address)),
            "msisdn" => Self::msisdn(&address),
            _ => Ok(Self::third_party_of(medium, address)),
        }
    }

    /// An identifier of any other type, with fields of its own that are sent as they are.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if the type is empty or the fields hold `type`.
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

    /// What a person typed, once it is known what it means.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] if it is an address of a server, or a phone number without its country code: for the latter,
    /// ask for the country, and call [`phone`](Self::phone).
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

    /// The first of the text's meanings that is a user. If that is not [sure](Typed::is_sure), say what was taken, or
    /// ask.
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
    /// [`InvalidInput`] if there is none.
    fn try_from(typed: &Typed) -> Result<Self, InvalidInput> {
        let user = typed.meanings().find_map(|meaning| Self::try_from(meaning).ok());
        user.map_or_else(|| Self::try_from(typed.best()), Ok)
    }
}

fn not_international() -> InvalidInput {
    InvalidInput::new("phone number", "country code and digits, such as +44 7700 900123")
}

/// The type alone: addresses are nobody's business and custom fields may hold a secret.
impl std::fmt::Debug for UserIdentifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("UserIdentifier").field(&self.identifier_type()).finish()
    }
}

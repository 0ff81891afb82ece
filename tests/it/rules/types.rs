//! The states that the types of `src/flow/state.rs` allow.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Fields, Item, Type};

use super::states::{TRAITS, trait_index};

/// The types of `state.rs`, and of the choices in them.
pub struct Types {
    /// The fields of each type. The name of a field of a variant begins with the name of the variant.
    fields: BTreeMap<String, Vec<(String, Type)>>,
    enums: BTreeSet<String>,
}

/// The trait that shows the value of a field that can have several values, or of a type from another file. If there is
/// no trait, the value makes no difference to a flow.
pub const OPEN: [(&str, &str); 32] = [
    ("AuthMetadata", "server"),
    ("AuthorizationCode", ""),
    ("CodeGrant.iss_in_callback", "server"),
    ("CodeVerifier", ""),
    ("Credentials", ""),
    ("DeviceCode", ""),
    ("DeviceId", ""),
    ("DiscoveryFailure", "outcome"),
    ("Due::Choose.refused", "refused"),
    ("Due::GetAuthMetadata.login_types", "types"),
    ("Due::GetAuthMetadata.refused", "refused"),
    ("Due::GetLogin.refused", "refused"),
    ("Fields", ""),
    ("GrantChoice", "purpose"),
    ("Homeserver", ""),
    ("LoginTypes", "types"),
    ("OAuthChoice.device_id", ""),
    ("Offers.oauth", "server"),
    ("Purpose", "purpose"),
    ("Purpose::Code.metadata", "offers"),
    ("Redirect", ""),
    ("RedirectState", ""),
    ("Redirects.0", "redirects"),
    ("Server.offers", "offers"),
    ("ServerName", ""),
    ("Session", ""),
    ("ShownCode", "code"),
    ("SystemTime", ""),
    ("Url", ""),
    ("str", ""),
    ("token::Response", "tokens"),
    ("well_known::Response", ""),
];

impl Types {
    pub fn read() -> Self {
        let mut types = Self { fields: BTreeMap::new(), enums: BTreeSet::new() };
        for source in [include_str!("../../../src/flow/state.rs"), include_str!("../../../src/flow/choice.rs")] {
            for item in syn::parse_file(source).unwrap().items {
                match item {
                    Item::Struct(item) => {
                        let name = item.ident.to_string();
                        types.add(&name, &name, &item.fields);
                    }
                    Item::Enum(item) => {
                        let name = item.ident.to_string();
                        types.enums.insert(name.clone());
                        for variant in item.variants {
                            types.add(&name, &format!("{name}::{}", variant.ident), &variant.fields);
                        }
                    }
                    _ => {}
                }
            }
        }
        types
    }

    fn add(&mut self, name: &str, prefix: &str, fields: &Fields) {
        let named = fields.iter().enumerate().map(|(index, field)| {
            let field_name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            (format!("{prefix}.{field_name}"), field.ty.clone())
        });
        self.fields.entry(name.to_owned()).or_default().extend(named);
    }

    /// Notes the possible values of a field: whether it is optional, and the types that it consists of.
    fn look(&self, field: &str, field_type: &Type, found: &mut BTreeSet<String>) {
        let Type::Path(path) = field_type else { panic!("{field} has a type that is not a path") };
        let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let last = path.path.segments.last().unwrap();
        let name = segments.last().unwrap().as_str();
        let inner = match &last.arguments {
            syn::PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
                Some(syn::GenericArgument::Type(inner)) => Some(inner),
                _ => None,
            },
            _ => None,
        };
        match (name, inner) {
            ("Option" | "Vec", Some(inner)) => {
                found.insert(field.to_owned());
                let mut within = BTreeSet::new();
                self.look(field, inner, &mut within);
                // For an optional type of another file, it only counts whether the value exists.
                found.extend(within.into_iter().filter(|name| name.contains('.')));
            }
            ("Box" | "Arc", Some(inner)) => self.look(field, inner, found),
            ("bool", None) => {
                found.insert(field.to_owned());
            }
            _ => match self.fields.get(name).filter(|_| segments.len() == 1) {
                Some(fields) => {
                    found.extend(self.enums.contains(name).then(|| name.to_owned()));
                    for (field, field_type) in fields {
                        self.look(field, field_type, found);
                    }
                }
                None => {
                    found.insert(segments.join("::"));
                }
            },
        }
    }

    /// The variants of `Due`, each with the possible values of its fields.
    pub fn boxes(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut boxes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (field, field_type) in &self.fields["Due"] {
            let variant = field.trim_start_matches("Due::").split('.').next().unwrap();
            let found = boxes.entry(variant.to_owned()).or_default();
            if variant != "Wait" {
                self.look(field, field_type, found);
            }
        }
        boxes
    }
}

/// The values of traits that the types allow in a box, by the place of the trait.
pub fn allowed(found: &BTreeSet<String>) -> BTreeMap<usize, Vec<usize>> {
    let mut allowed = BTreeMap::from([(0, vec![0, 1])]);
    for name in found {
        let (_, trait_name) =
            OPEN.iter().find(|(same, _)| same == name).unwrap_or_else(|| panic!("OPEN is without {name}"));
        let values = match name.as_str() {
            "DiscoveryFailure" => vec![1, 2, 3],
            "Purpose" | "AuthMetadata" => vec![1, 2],
            "GrantChoice" => vec![2, 3],
            _ => {
                (0..TRAITS.iter().find(|(same, _)| same == trait_name).map_or(0, |(_, values)| values.len())).collect()
            }
        };
        if !trait_name.is_empty() {
            let known = allowed.entry(trait_index(trait_name)).or_insert_with(|| values.clone());
            known.retain(|value| values.contains(value));
        }
    }
    allowed
}

//! The rules of a flow, over every state and every input: an input moves the flow, or it is an error and nothing
//! changes.
//!
//! `states.rs` finds every state: it gives every input of `inputs.rs` to every state that it has found, and checks each
//! pair. The file `rules.txt` says where each input leads in each state. It is for people to read, too.

mod inputs;
mod list;
mod states;
mod types;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use matrix_login::{Session, Step};
use syn::{FnArg, ImplItem, Item, Visibility};

use self::{
    inputs::SECRET,
    list::{OUT_OF_STEP, STALE},
    states::{BOXES, explored, sent, trait_index},
    types::{OPEN, Types},
};
pub use self::{inputs::inputs, states::State};
use crate::{
    support::{
        golden,
        scenario::{Scenario, whole},
    },
    table_of_responses::cells,
};

const FLOW: &str = include_str!("../../src/flow.rs");

/// All states, each with the outcomes of all inputs.
pub fn states() -> &'static [State] {
    &explored().states
}

/// The states with different outcomes. If every input has the same outcome in several states, only the first is here.
pub fn telling_states() -> Vec<&'static State> {
    let mut known = BTreeSet::new();
    states().iter().filter(|state| known.insert((state.place, &state.outcomes, &state.resumed))).collect()
}

#[test]
fn every_input_moves_the_flow_or_is_an_error() {
    let problems = &explored().problems;
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems[..problems.len().min(20)].join("\n"));
}

#[test]
fn every_input_leads_where_the_list_says() {
    let text = list::text();
    golden::compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rules.txt"), &text);
}

// Whether the generator has everything.

#[test]
fn the_inputs_are_all_methods_that_move_a_flow() {
    let file = syn::parse_file(FLOW).unwrap();
    let mut found = BTreeSet::new();
    for item in file.items.iter().filter_map(|item| if let Item::Impl(item) = item { Some(item) } else { None }) {
        for function in
            item.items.iter().filter_map(|item| if let ImplItem::Fn(item) = item { Some(item) } else { None })
        {
            let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first() else { continue };
            let can_move = matches!(receiver.kind, syn::ReceiverKind::Reference(_, _, Some(_)));
            if can_move && matches!(function.vis, Visibility::Public(_)) {
                found.insert(function.sig.ident.to_string());
            }
        }
    }
    let tried: BTreeSet<String> = inputs().iter().map(|input| input.method.to_owned()).collect();
    assert_eq!(tried, found);
}

#[test]
fn the_states_are_in_all_boxes_that_the_types_have() {
    let boxes = Types::read().boxes();
    let mut variants: BTreeSet<&str> = boxes.keys().map(String::as_str).collect();
    // A wait holds one of the other boxes up.
    assert!(variants.remove("Wait"));
    assert_eq!(BOXES.map(|(variant, _)| variant).into_iter().collect::<BTreeSet<_>>(), variants);
    let found: BTreeSet<String> = boxes.into_values().flatten().collect();
    assert_eq!(OPEN.map(|(name, _)| name.to_owned()).into_iter().collect::<BTreeSet<_>>(), found);
    for (place, (_, name)) in BOXES.iter().enumerate() {
        assert!(states().iter().any(|state| state.place == place), "no state is at {name}");
    }
}

// Whether the diagram and the table of `handle_response` say the same.

/// A row of the diagram: a method, a box, and the boxes to which the method leads.
const ARROWS: [(&str, &str, &[&str]); 14] = [
    ("choose", "Choose", &["POST login", "Browse", "POST register", "POST device_authorization"]),
    (
        "handle_callback",
        "Browse",
        &["POST login", "POST token", "GET auth_metadata, after a resume", "the question, refused"],
    ),
    ("handle_timeout", "ShowCode", &["POST token, a poll"]),
    ("back", "Locate", &["GET well-known"]),
    ("back", "GET whoami", &["POST revoke", "the question"]),
    ("back", "POST login", &["the question"]),
    ("back", "Browse", &["the question"]),
    ("back", "POST register", &["the question"]),
    ("back", "GET auth_metadata, after a resume", &["the question"]),
    ("back", "POST token", &["the question"]),
    ("back", "POST device_authorization", &["the question"]),
    ("back", "ShowCode", &["the question"]),
    ("back", "POST token, a poll", &["the question"]),
    ("back", "POST revoke", &["the question"]),
];

/// The words of the tables of `handle_response` for a box: the outcomes of a response, and the outcome of no response.
fn table_row(state: &State) -> Option<[BTreeSet<String>; 2]> {
    let row_name = match (BOXES[state.place].1, state.traits[trait_index("types")]) {
        ("GET auth_metadata", 0) => "GET auth_metadata, with login types",
        ("GET auth_metadata", _) => "GET auth_metadata, without login types",
        (name, _) => name,
    };
    let mut cells = cells(row_name)?;
    let unreachable = cells.remove("unreachable").unwrap();
    let responses = cells.into_values().flat_map(BTreeMap::into_values);
    Some([responses.collect(), unreachable.into_values().collect()])
}

/// An outcome, in the words of the tables of `handle_response`.
fn table_word(state: &State, outcome: &str) -> String {
    let word = outcome.split(", and ").next().unwrap();
    let word = match word.trim_start_matches("Locate, ").trim_start_matches("error ") {
        "the question" => "Choose",
        "the question, refused" => "Choose, refused",
        // An earlier refusal is shown again.
        "Choose, refused" if state.traits[trait_index("refused")] > 0 => "Choose",
        "GET well-known" => "followed",
        word => word,
    };
    let is_named = ["LoginUnsupported", "MissingRefreshToken", "OutOfStep", "WrongUser"].contains(&word);
    if outcome.starts_with("error ") && !is_named { "error".to_owned() } else { word.to_owned() }
}

#[test]
fn every_step_is_one_that_the_diagram_allows() {
    let mut unused: BTreeSet<(usize, &str)> = BTreeSet::new();
    for (index, (.., to)) in ARROWS.iter().enumerate() {
        unused.extend(to.iter().map(|to| (index, *to)));
    }
    let mut rows = BTreeMap::new();
    for state in states() {
        let name = BOXES[state.place].1;
        let is_waiting = state.traits[0] > 0;
        let types = state.traits[trait_index("types")];
        let row = rows.entry((state.place, types)).or_insert_with(|| table_row(state)).as_ref().filter(|_| !is_waiting);
        for (input, outcome) in inputs().iter().zip(&state.outcomes) {
            let is_right = match (input.method, row) {
                ("handle_response", Some([responses, _])) => responses.contains(&table_word(state, outcome)),
                ("handle_unreachable", Some([_, unreachable])) => unreachable.contains(&table_word(state, outcome)),
                ("handle_response" | "handle_unreachable", None) => outcome == STALE,
                ("handle_timeout", _) if is_waiting => outcome == name,
                ("use_homeserver", _) if !outcome.starts_with("error ") => outcome == "GET login",
                _ if outcome.starts_with("error ") => true,
                (method, _) => {
                    let arrow = ARROWS.iter().position(|(same, from, _)| *same == method && *from == name);
                    if let Some(index) = arrow {
                        unused.remove(&(index, outcome.as_str()));
                    }
                    arrow.is_some_and(|index| ARROWS[index].2.contains(&outcome.as_str()))
                }
            };
            assert!(is_right, "{} ({}): {}: {outcome} is not in the diagram", state.name(), state.way, input.name);
        }
    }
    assert!(
        unused.is_empty(),
        "no input leads from {:?}",
        unused.iter().map(|(index, to)| (ARROWS[*index], to)).collect::<Vec<_>>()
    );
}

#[test]
fn the_diagram_has_every_box() {
    let (_, diagram) = FLOW.split_once("```text").unwrap();
    let (diagram, _) = diagram.split_once("```").unwrap();
    for (_, name) in BOXES {
        let name = name.split(',').next().unwrap();
        // Only the table of `handle_response` has the revocation.
        assert_eq!(diagram.contains(name), name != "POST revoke", "{name}");
    }
}

// What a state shows.

#[test]
fn secrets_are_only_where_they_must_be() {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for state in states() {
        let sends = match state.flow.step() {
            Step::Send { request, .. } => sent(&request).contains(SECRET),
            Step::Browse(url) => url.as_str().contains(SECRET),
            Step::Done(session) => serde_json::to_string(session).unwrap().contains(SECRET),
            step => format!("{step:?}").contains(SECRET),
        };
        if sends {
            found.insert(BOXES[state.place].1);
        }
    }
    let expected = [
        "POST login",
        "Browse",
        "POST register",
        "POST token",
        "POST token, a poll",
        "GET whoami",
        "POST revoke",
        "Done",
    ];
    assert_eq!(found, expected.into_iter().collect());
}

#[test]
fn the_getters_agree_with_the_step() {
    for state in states() {
        let (flow, name) = (&state.flow, state.name());
        let is_done = matches!(flow.step(), Step::Done(_));
        assert_eq!(flow.session().is_some(), is_done, "{name}");
        assert_eq!(flow.user_id(), flow.session().map(Session::user_id), "{name}");
        assert_eq!(flow.device_id(), flow.session().map(Session::device_id), "{name}");
        assert_eq!(flow.suspend().is_none(), is_done, "{name}");
        assert_eq!(flow.clone().into_session().is_ok(), is_done, "{name}");
        let in_discovery = ["GET well-known", "Locate"].contains(&BOXES[state.place].1);
        assert_eq!(flow.homeserver().is_none(), in_discovery, "{name}");
        let has_code = ["ShowCode", "POST token, a poll"].contains(&BOXES[state.place].1);
        assert_eq!(flow.shown_code().is_some(), has_code, "{name}");
        if let Step::ShowCode(code) = flow.step() {
            assert_eq!(code.is_new(), state.traits[trait_index("code")] == 0, "{name}");
        }
    }
}

#[test]
fn a_step_is_a_view_of_the_state() {
    for state in states() {
        let first = whole(&state.flow);
        assert_eq!(whole(&state.flow), first, "{}", state.name());
        assert_eq!(whole(&state.flow.clone()), first, "{}", state.name());
    }
}

#[test]
fn a_flow_without_a_session_is_given_back() {
    for state in telling_states().into_iter().filter(|state| state.flow.session().is_none()) {
        let flow = state.flow.clone().into_session().unwrap_err();
        assert_eq!(whole(&flow), whole(&state.flow), "{}", state.name());
    }
}

#[test]
fn no_state_is_a_dead_end() {
    let to_homeserver = inputs().iter().position(|input| input.name == "use_homeserver").unwrap();
    for state in states() {
        let is_whoami = BOXES[state.place].1 == "GET whoami";
        match state.outcomes[to_homeserver].as_str() {
            "GET login" => {}
            // Tokens whose user is not confirmed must be revoked first, or left behind on purpose.
            OUT_OF_STEP => {
                assert!(is_whoami, "{}", state.name());
                let mut flow = state.flow.clone();
                flow.back().unwrap();
                flow.use_homeserver("https://other.example.org".parse().unwrap()).unwrap();
            }
            outcome => assert!(state.flow.session().is_some(), "{}: {outcome}", state.name()),
        }
    }
}

#[test]
fn out_of_step_says_what_was_called_and_what_is_due() {
    let error = Scenario::at_the_question().flow.handle_timeout().unwrap_err();
    assert_eq!(error.to_string(), "handle_timeout is not allowed now: the current step is Choose");
}

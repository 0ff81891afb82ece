//! The content of `rules.txt`: for each box and each input, the outcome, and what the outcome depends on.

use std::fmt::Write;

use super::{
    inputs::inputs,
    states::{BOXES, State, TRAITS, explored},
    types::{Types, allowed},
};

/// The introduction of `rules.txt`. The list of the kinds of inputs follows it.
const HEADER: &str = "\
# What every input does in every state of a login. The test `rules` compares this list with the library.
#
# A line without indentation is a box of the diagram. The lines below it say where inputs lead: INPUT, INPUT -> OUTCOME.
# An outcome is an error, or the step that is due after the input. After an error nothing has changed, unless the line
# also names the step that is due then. `the question` is the step `Choose`. In a state that is `resumed`, GET login
# comes before the question.
#
# A box has many states: flows with other settings, offers or tokens, and flows that began in another way. If the input
# does not lead to the same box from all of them, more lines say what the outcome depends on:
#
#     not refused, after a refusal: whether the server has refused a choice
#     offers known, resumed: whether the flow still knows what the homeserver offers, or a resume has forgotten that
#     with poor OAuth: the OAuth 2.0 server registers no client, has no device grant, revokes nothing, and promises its
#         name in every callback
#     tokens that end: the access token expires, and there is no refresh token
#     sessions must last, sessions may end: whether the settings require a refresh token
#     any user, again: whether a certain user must log in again
#     no client, client to register, registered client: whether the settings ask for OAuth 2.0, and the client has an ID
#
# A response and `unreachable` have the ID of the last request. With any other ID they are stale, in every state.
#
# `UPDATE=1 cargo test` writes this file again. Read the difference before you commit it.
#
# Some inputs are of one kind. `every refusal` stands for all inputs of that kind. `every other refusal` stands for the
# inputs of that kind that no other line of the box names. `all others` stands for all inputs that no other line of the
# box names. `body` stands for the content that a request asks for.
#
";

/// The introduction of the last part of `rules.txt`.
const NEVER: &str = "
# States that the types allow, but to which no input leads. A line without indentation is a box. The line below it says
# what the box never has.
#
# - Only a request can wait. The specification has an outcome for every response to GET well-known, so it does not wait.
# - A resume leads to the beginning, to GET login or to the browser. It forgets what the homeserver offers.
# - Poor OAuth registers no client, has no device grant and revokes nothing. A code grant always has OAuth.

";

pub const STALE: &str = "error StaleResponse";
pub const OUT_OF_STEP: &str = "error OutOfStep";

/// The whole list.
pub fn text() -> String {
    let mut text = HEADER.to_owned() + &families() + "\n";
    for (place, (_, name)) in BOXES.iter().enumerate() {
        for (is_waiting, waiting) in ["", ", waiting"].iter().enumerate() {
            let here: Vec<&State> = explored()
                .states
                .iter()
                .filter(|state| state.place == place && state.traits[0] == is_waiting)
                .collect();
            if !here.is_empty() {
                let number = if here.len() == 1 { "one state".to_owned() } else { format!("{} states", here.len()) };
                let _ = write!(text, "{name}{waiting} ({number})\n{}", part(&here));
            }
        }
    }
    text += NEVER;
    for line in never() {
        text += &line;
    }
    text
}

/// The outcome of an input. After the last input comes a resume.
fn outcome(state: &State, input: usize) -> &str {
    let resumed = || state.resumed.as_deref().unwrap_or("nothing, there is a session");
    state.outcomes.get(input).map_or_else(resumed, String::as_str)
}

/// Conditions, each with its outcome. An outcome that is always the same has no condition.
type Decision = Vec<(String, String)>;

fn always(outcome: &str) -> Decision {
    vec![(String::new(), outcome.to_owned())]
}

/// The outcomes of an input in these states, with as few conditions as possible.
fn decide(states: &[&State], input: usize) -> Decision {
    let first = outcome(states[0], input);
    if states.iter().all(|state| outcome(state, input) == first) {
        return always(first);
    }
    let by_trait = |index: usize| {
        let mut branches: Vec<(String, Decision)> = Vec::new();
        for (value, name) in TRAITS[index].1.iter().enumerate() {
            let here: Vec<&State> = states.iter().copied().filter(|state| state.traits[index] == value).collect();
            if here.len() == states.len() {
                return None;
            }
            if !here.is_empty() {
                let decision = decide(&here, input);
                match branches.iter_mut().find(|(_, same)| *same == decision) {
                    Some((names, _)) => names.extend([" or ", name]),
                    None => branches.push(((*name).to_owned(), decision)),
                }
            }
        }
        // A trait with one branch makes no difference.
        if branches.len() == 1 {
            return None;
        }
        let join = |name: &str, more: &str| if more.is_empty() { name.to_owned() } else { format!("{name}, {more}") };
        let leaves = branches.iter().flat_map(|(name, decision)| {
            decision.iter().map(move |(more, outcome)| (join(name, more), outcome.clone()))
        });
        Some(leaves.collect::<Vec<_>>())
    };
    (0..TRAITS.len()).filter_map(by_trait).min_by_key(Vec::len).expect("two states have different traits")
}

/// A line, which is broken if it is too long.
fn line(margin: &str, words: &[String], outcome: &str) -> String {
    let mut text = margin.to_owned();
    let mut width = margin.len();
    for (index, word) in words.iter().enumerate() {
        let comma = if index + 1 < words.len() { ", " } else { "" };
        if width + word.len() + comma.len() + if comma.is_empty() { outcome.len() } else { 0 } > 120 {
            text = text.trim_end().to_owned() + "\n" + margin + "    ";
            width = margin.len() + 4;
        }
        width += word.len() + comma.len();
        text += word;
        text += comma;
    }
    text + outcome + "\n"
}

/// The lines for inputs with the same outcomes.
fn lines(inputs: &[String], decision: &Decision) -> String {
    if let [(_, outcome)] = decision.as_slice() {
        return line("    ", inputs, &format!(" -> {outcome}"));
    }
    let mut text = line("    ", inputs, "");
    for (condition, outcome) in decision {
        let conditions: Vec<String> = condition.split(", ").map(str::to_owned).collect();
        text += &line("        ", &conditions, &format!(" -> {outcome}"));
    }
    text
}

/// The part of a box: the inputs, grouped by their outcomes, in their order.
fn part(states: &[&State]) -> String {
    let mut found: Vec<(Decision, Vec<String>)> = Vec::new();
    let mut add = |decision: &Decision, input: String| match found.iter_mut().find(|(same, _)| same == decision) {
        Some((_, inputs)) => inputs.push(input),
        None => found.push((decision.clone(), vec![input])),
    };
    let names = inputs().iter().map(|input| (input.family, input.name)).chain([("", "suspend and resume")]);
    let all: Vec<_> = names.enumerate().map(|(index, (family, name))| (family, name, decide(states, index))).collect();
    let mut requests = inputs().iter().zip(&all).filter(|(input, _)| input.is_about_a_request());
    let is_stale = requests.all(|(_, (.., decision))| *decision == always(STALE));
    if is_stale {
        add(&always(STALE), "every response, unreachable".to_owned());
    }
    for family in all.chunk_by(|(one, ..), (other, ..)| one == other && !one.is_empty()) {
        let same = |decision: &Decision| family.iter().filter(|(.., other)| other == decision).count();
        let most = family.iter().map(|(.., decision)| same(decision)).max().unwrap_or_default();
        let usual = family.iter().find(|(.., decision)| same(decision) == most).map(|(.., decision)| decision);
        let mut is_first = true;
        for (kind, name, decision) in family {
            if *decision == always(OUT_OF_STEP) || (is_stale && *decision == always(STALE)) {
                continue;
            }
            if Some(decision) != usual || most < 3 {
                add(decision, (*name).to_owned());
            } else if std::mem::take(&mut is_first) {
                add(decision, format!("every {}{kind}", if most < family.len() { "other " } else { "" }));
            }
        }
    }
    if all.iter().any(|(.., decision)| *decision == always(OUT_OF_STEP)) {
        add(&always(OUT_OF_STEP), "all others".to_owned());
    }
    found.iter().map(|(decision, inputs)| lines(inputs, decision)).collect()
}

/// The inputs that are of one kind, for each kind.
fn families() -> String {
    let mut text = String::new();
    for inputs in inputs().chunk_by(|one, other| one.family == other.family) {
        let names: Vec<String> = inputs.iter().map(|input| input.name.to_owned()).collect();
        if !inputs[0].family.is_empty() {
            let _ = write!(text, "# {}:\n{}", inputs[0].family, line("#     ", &names, ""));
        }
    }
    text
}

/// The values of traits that the types allow in a box, and that no state has: single values, or else pairs.
fn never() -> Vec<String> {
    let boxes = Types::read().boxes();
    let mut lines = Vec::new();
    for (place, (variant, name)) in BOXES.iter().enumerate() {
        let values: Vec<(usize, usize)> = allowed(&boxes[*variant])
            .into_iter()
            .flat_map(|(index, values)| values.into_iter().map(move |value| (index, value)))
            .collect();
        let here = || explored().states.iter().filter(|state| state.place == place);
        let has = |wanted: &[(usize, usize)]| {
            here().any(|state| wanted.iter().all(|(index, value)| state.traits[*index] == *value))
        };
        let word = |(index, value): (usize, usize)| TRAITS[index].1[value];
        let mut missing: Vec<String> =
            values.iter().filter(|value| !has(&[**value])).map(|value| word(*value).to_owned()).collect();
        let seen: Vec<(usize, usize)> = values.into_iter().filter(|value| has(&[*value])).collect();
        for (number, one) in seen.iter().enumerate() {
            for other in seen[number + 1..].iter().filter(|other| other.0 != one.0 && !has(&[*one, **other])) {
                missing.push(format!("{} and {}", word(*one), word(*other)));
            }
        }
        if !missing.is_empty() {
            lines.push(format!("{name}\n{}", line("    ", &missing, "")));
        }
    }
    lines
}

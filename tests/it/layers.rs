//! The layers of ARCHITECTURE.md: no import points upward, no files form a circle, and no function of the flow is long.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::{spanned::Spanned, visit::Visit};

const ROOT: &str = "src/lib.rs";
const LONGEST_FUNCTION: usize = 25;

/// The files of the library, in the order in which they stand in ARCHITECTURE.md, each with its layer.
fn order() -> Vec<(String, usize)> {
    let (_, list) = include_str!("../../ARCHITECTURE.md").split_once("```text\n").unwrap();
    let (list, _) = list.split_once("```").unwrap();
    let mut layer = 0;
    let mut files = Vec::new();
    for line in list.lines() {
        match line.split_whitespace().next() {
            Some(file) if file.starts_with("src/") => files.push((file.to_owned(), layer)),
            _ => layer += 1,
        }
    }
    files
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn tokens(file: &str) -> TokenStream {
    read(file).parse().unwrap()
}

/// A path in the code that begins with `crate`, `super` or `self`: where it leads, and the file that has it.
#[derive(Debug)]
struct Arrow {
    path: Vec<String>,
    from: String,
}

/// The file of a module, by its path below the crate root.
fn files_by_module() -> BTreeMap<Vec<String>, String> {
    let module = |file: &str| -> Vec<String> {
        let path = file.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
        if file == ROOT { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
    };
    order().into_iter().map(|(file, _)| (module(&file), file)).collect()
}

/// Collects the paths of a list of tokens: the paths of imports, and the paths in the code.
fn collect(stream: TokenStream, from: &str, module: &[String], arrows: &mut Vec<Arrow>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut rest = trees.as_slice();
    while let [tree, after @ ..] = rest {
        rest = after;
        match tree {
            TokenTree::Group(group) => collect(group.stream(), from, module, arrows),
            // `use crate as root` would hide what is imported.
            TokenTree::Ident(ident)
                if *ident == "crate" && after.first().is_some_and(|next| next.to_string() == "as") =>
            {
                arrows.push(Arrow { path: vec!["as".to_owned()], from: from.to_owned() });
            }
            TokenTree::Ident(ident) if is_path(after) => {
                let base = match ident.to_string().as_str() {
                    "crate" => Vec::new(),
                    "self" => module.to_vec(),
                    "super" => module[..module.len().saturating_sub(1)].to_vec(),
                    _ => continue,
                };
                follow(&after[2..], base, from, arrows);
            }
            _ => {}
        }
    }
}

/// Whether two colons and a name or a list come next.
fn is_path(rest: &[TokenTree]) -> bool {
    let [TokenTree::Punct(one), TokenTree::Punct(two), _, ..] = rest else { return false };
    one.as_char() == ':' && two.as_char() == ':'
}

fn follow(rest: &[TokenTree], mut path: Vec<String>, from: &str, arrows: &mut Vec<Arrow>) {
    match rest {
        [TokenTree::Ident(ident), after @ ..] => {
            if *ident != "self" {
                path.push(ident.to_string());
            }
            if is_path(after) && !matches!(after[2], TokenTree::Punct(_)) {
                follow(&after[2..], path, from, arrows);
            } else {
                arrows.push(Arrow { path, from: from.to_owned() });
            }
        }
        [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => list(group, &path, from, arrows),
        // `use crate::*` would hide it too.
        [TokenTree::Punct(star), ..] if star.as_char() == '*' => {
            path.push("*".to_owned());
            arrows.push(Arrow { path, from: from.to_owned() });
        }
        _ => {}
    }
}

fn list(group: &Group, path: &[String], from: &str, arrows: &mut Vec<Arrow>) {
    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
    for item in trees.split(|tree| matches!(tree, TokenTree::Punct(comma) if comma.as_char() == ',')) {
        follow(item, path.to_vec(), from, arrows);
    }
}

fn arrows() -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (module, file) in files_by_module() {
        if file != ROOT {
            collect(tokens(&file), &file, &module, &mut arrows);
        }
    }
    arrows
}

/// The file that a path leads to, and the name that it takes from there, if it takes one.
fn target(path: &[String]) -> (String, Option<String>) {
    let files = files_by_module();
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length])).unwrap();
    (files[&path[..length]].clone(), path.get(length).cloned())
}

/// The names that a file defines itself.
fn definitions(file: &str) -> BTreeSet<String> {
    fn visit(stream: TokenStream, names: &mut BTreeSet<String>) {
        let mut before = [String::new(), String::new()];
        for tree in stream {
            if let TokenTree::Ident(name) = &tree {
                let [two, one] = &before;
                let keywords = ["struct", "enum", "trait", "fn", "const", "type", "mod"];
                if keywords.contains(&one.as_str()) || (two == "macro_rules" && one == "!") {
                    names.insert(name.to_string());
                }
            }
            if let TokenTree::Group(group) = &tree {
                // Macros define types.
                visit(group.stream(), names);
            }
            before = [std::mem::take(&mut before[1]), tree.to_string()];
        }
    }
    let mut names = BTreeSet::new();
    visit(tokens(file), &mut names);
    names
}

#[test]
fn the_list_has_every_file_once() {
    let mut listed: Vec<String> = order().into_iter().map(|(file, _)| file).collect();
    listed.sort();
    let mut found = Vec::new();
    let mut folders = vec!["src".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() { folders.push(name) } else { found.push(name) }
        }
    }
    found.sort();
    assert_eq!(listed, found);
}

#[test]
fn no_import_points_upward() {
    let rank: BTreeMap<String, usize> = order().into_iter().enumerate().map(|(rank, (file, _))| (file, rank)).collect();
    let arrows = arrows();
    assert!(arrows.len() > 200, "only {} imports were found", arrows.len());
    let mut wrong = Vec::new();
    for Arrow { path, from } in arrows {
        let (file, _) = target(&path);
        if file != from && rank[&file] >= rank[&from] {
            wrong.push(format!("{from} imports crate::{} from {file}, which is above it", path.join("::")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_import_comes_from_the_defining_module() {
    let mut wrong = Vec::new();
    for Arrow { path, from } in arrows() {
        let (file, name) = target(&path);
        let Some(name) = name else { continue };
        if file == ROOT || (file != from && !definitions(&file).contains(&name)) {
            wrong.push(format!("{from} imports crate::{}, which {file} does not define", path.join("::")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The documentation of items. The documentation of modules is left out: the introduction to a module can name later
/// modules.
fn documentation(stream: TokenStream) -> String {
    let mut text = String::new();
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    for (index, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else { continue };
        let is_outer = index > 0 && trees[index - 1].to_string() == "#";
        let inside = group.stream().to_string();
        if is_outer && inside.starts_with("doc =") {
            text += &inside;
        }
        text += &documentation(group.stream());
    }
    text
}

#[test]
fn the_documentation_of_a_lower_layer_links_to_no_higher_one() {
    let layer: BTreeMap<String, usize> = order().into_iter().collect();
    let mut exports = Vec::new();
    collect(tokens(ROOT), ROOT, &[], &mut exports);
    let exported: BTreeMap<&String, &Vec<String>> =
        exports.iter().filter_map(|arrow| Some((arrow.path.last()?, &arrow.path))).collect();
    let mut wrong = Vec::new();
    for (file, _) in order() {
        let text = documentation(tokens(&file));
        for link in text.split("crate::").skip(1) {
            let end = link.find(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
            let mut path: Vec<String> = link[..end.unwrap_or(link.len())].split("::").map(str::to_owned).collect();
            if let Some(defined) = exported.get(&path[0]) {
                path = (*defined).clone();
            }
            let (to, _) = target(&path);
            if to != ROOT && layer[&to] > layer[&file] {
                wrong.push(format!("{file} links to crate::{}", path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_one_file_moves_the_flow() {
    for (file, _) in order().into_iter().filter(|(file, _)| file.starts_with("src/flow/")) {
        let code: String = tokens(&file).to_string().split_whitespace().collect();
        for field in ["due", "attempts", "request_id", "discovered"] {
            let assignment = code.split(&format!(".{field}=")).skip(1).find(|rest| !rest.starts_with('='));
            assert_eq!(assignment, None, "{file} assigns {field}, which only src/flow.rs does");
        }
    }
}

/// Functions with more lines than they should have.
struct LongFunctions {
    file: String,
    found: Vec<String>,
}

impl LongFunctions {
    fn look(&mut self, name: &syn::Ident, all: impl Spanned) {
        let lines = all.span().end().line - name.span().start().line + 1;
        if lines > LONGEST_FUNCTION {
            self.found.push(format!("{}: {name} has {lines} lines", self.file));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.look(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.look(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

#[test]
fn no_function_of_the_flow_is_long() {
    let mut found = Vec::new();
    for (file, _) in order().into_iter().filter(|(file, _)| file.starts_with("src/flow")) {
        let parsed = syn::parse_file(&read(&file)).unwrap();
        let mut functions = LongFunctions { file, found: Vec::new() };
        functions.visit_file(&parsed);
        found.extend(functions.found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

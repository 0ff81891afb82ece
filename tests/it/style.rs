//! The style of the repository: no line is longer than 120 columns, and no name of a test is longer than 60 characters.
//! The archive of the crate contains fewer folders, so the tests read the folders that exist.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

const COLUMNS: usize = 120;
const TEST_NAME: usize = 60;
const FOLDERS: [&str; 7] = [".ci", "benches", "examples", "fuzz", "src", "stacks", "tests"];
/// Folders that are not in the repository.
const BUILT: [&str; 5] = ["artifacts", "corpus", "coverage", "node_modules", "target"];

/// The files below a folder, or only the files in it.
fn files(folder: &Path, recurse: bool, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let is_built = BUILT.iter().any(|built| path.ends_with(built));
        if path.is_dir() && recurse && !is_built {
            files(&path, true, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// Every file of the repository with its lines, if it is text.
fn sources() -> Vec<(PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(root, false, &mut found);
    for folder in FOLDERS {
        files(&root.join(folder), true, &mut found);
    }
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        let lines = text.lines().map(str::to_owned).collect();
        Some((path.strip_prefix(root).unwrap().to_owned(), lines))
    };
    found.into_iter().filter_map(read).collect()
}

/// The lines of a page in Markdown that can be wrapped: no table, no code and no link.
fn prose(lines: &[String]) -> impl Iterator<Item = (usize, &String)> {
    let mut is_code = false;
    lines.iter().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with('|') && !line.contains("](") && !line.contains("://")
    })
}

#[test]
fn no_line_is_longer_than_120_columns() {
    let mut long = Vec::new();
    for (path, lines) in sources() {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let numbered: Vec<(usize, &String)> = match extension {
            "rs" | "py" | "sh" | "js" | "mjs" | "html" => lines.iter().enumerate().collect(),
            // The scripts have no extension.
            "" if path.starts_with(".ci") || path.starts_with("stacks") => lines.iter().enumerate().collect(),
            "md" => prose(&lines).collect(),
            _ => continue,
        };
        let numbered = numbered.into_iter().filter(|(_, line)| line.chars().count() > COLUMNS);
        long.extend(numbered.map(|(index, _)| format!("{}:{}", path.display(), index + 1)));
    }
    assert!(long.is_empty(), "longer than {COLUMNS} columns:\n{}", long.join("\n"));
}

#[test]
fn no_name_of_a_test_is_longer_than_60_characters() {
    let (mut tests, mut long) = (0, Vec::new());
    for (path, lines) in sources() {
        if path.extension() != Some(OsStr::new("rs")) {
            continue;
        }
        let mut is_test = false;
        for (index, line) in lines.iter().map(|line| line.trim_start()).enumerate() {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let Some((_, function)) = line.split_once("fn ").filter(|_| is_test && !line.starts_with("//")) else {
                continue;
            };
            is_test = false;
            tests += 1;
            let name = function.split(['(', '<']).next().unwrap();
            if name.chars().count() > TEST_NAME {
                long.push(format!("{}:{}: {name}", path.display(), index + 1));
            }
        }
    }
    assert!(tests > 500, "only {tests} tests were found");
    assert!(long.is_empty(), "longer than {TEST_NAME} characters:\n{}", long.join("\n"));
}

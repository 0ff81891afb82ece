//! A terminal for the programs. The tool `script` of util-linux makes it.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::programs;

/// Runs a program at a terminal. `type_at` contains questions to wait for, each with the text to type there. Returns
/// everything that the terminal showed.
pub fn at_a_terminal(program: &Path, folder: &TempDir, arguments: &str, type_at: &[(&str, &str)]) -> String {
    let questions: Vec<&str> = type_at.iter().map(|(question, _)| *question).collect();
    watch(program, folder, arguments, &questions, |number, _| type_at[number].1.to_owned())
}

/// The same, but a function makes the text to type from the number of the question and from everything that the
/// terminal has shown so far.
pub fn watch(
    program: &Path,
    folder: &TempDir,
    arguments: &str,
    questions: &[&str],
    mut answer: impl FnMut(usize, &str) -> String,
) -> String {
    // The shell shows afterwards how the program ended, and whether the terminal still shows what is typed. The trap
    // keeps the shell alive when Ctrl-C is typed: without it, dash ends with the program.
    let command = format!("trap : INT; tty; {} {arguments}; echo \"status $?\"; stty -a", program.display());
    let mut child = programs::command("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("util-linux has `script`");
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut seen = 0;
    for (number, question) in questions.iter().enumerate() {
        loop {
            let text = String::from_utf8_lossy(&shown[seen..]).into_owned();
            if text.contains(question) {
                seen = shown.len();
                if question.starts_with("Password") {
                    wait_until_nothing_is_shown(&String::from_utf8_lossy(&shown));
                }
                break;
            }
            let mut buffer = [0; 1024];
            let length = output.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "no {question} in {}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&buffer[..length]);
        }
        let answer = answer(number, &String::from_utf8_lossy(&shown));
        input.write_all(answer.as_bytes()).unwrap();
        input.flush().unwrap();
    }
    output.read_to_end(&mut shown).unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}

/// The program switches the echo off a moment after the question. People do not type that fast, but tests do.
fn wait_until_nothing_is_shown(shown: &str) {
    let terminal = shown.lines().next().unwrap().trim();
    for _ in 0..10_000 {
        let settings = Command::new("stty").args(["-a", "-F", terminal]).output().unwrap();
        if String::from_utf8_lossy(&settings.stdout).contains("-echo ") {
            return;
        }
    }
    panic!("the terminal still shows what is typed");
}

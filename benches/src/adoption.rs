//! What a dependency costs a program that logs in: crates, seconds of compiling, and bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

/// The packages in `adoption/`.
const PROGRAMS: [&str; 6] =
    ["matrix-login", "matrix-login-pkce", "dependencies", "ruma-client-api", "oauth2", "matrix-sdk"];

struct Cost {
    crates: usize,
    debug_seconds: f64,
    release_seconds: f64,
    bytes: u64,
}

/// Prints what these programs cost, or what all of them cost if the list is empty.
pub fn print(only: &[&str]) -> Result<(), String> {
    println!(
        "Each program logs in; the programs with `matrix-login-pkce` and `oauth2` exchange a code. \
         `dependencies` uses plain serde structs, and nothing"
    );
    println!("but what matrix-login depends on. Only the one of `matrix-sdk` contains an HTTP client.");
    println!();
    println!("| program with | crates | debug build, CPU s | release build, CPU s | stripped, bytes |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let mut costs = serde_json::Map::new();
    for name in PROGRAMS.into_iter().filter(|name| only.is_empty() || only.contains(name)) {
        let Cost { crates, debug_seconds, release_seconds, bytes } = cost(name)?;
        println!("| `{name}` | {crates} | {debug_seconds:.1} | {release_seconds:.1} | {bytes} |");
        let cost = json!({"crates": crates, "debug_s": debug_seconds, "release_s": release_seconds, "bytes": bytes});
        costs.insert(name.to_owned(), cost);
    }
    println!();
    println!("{}", serde_json::Value::Object(costs));
    Ok(())
}

fn cost(name: &str) -> Result<Cost, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("adoption").join(name);
    // The download is not a part of the compiler's work.
    run(&package, &["cargo", "fetch", "--quiet"])?;
    let target = package.join("target");
    let build = |profile: &str| {
        match fs::remove_dir_all(&target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("{}: {error}", target.display()));
            }
            _ => {}
        }
        cpu_seconds(&package, &["cargo", "build", "--quiet", "--jobs=1", "--profile", profile])
    };
    let (debug_seconds, release_seconds) = (build("dev")?, build("release")?);
    let program = target.join("release").join("login");
    let bytes = fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?.len();
    let crates = crates(&package)?;
    fs::remove_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    Ok(Cost { crates, debug_seconds, release_seconds, bytes })
}

/// How many crates are built for a program, without the program itself.
fn crates(package: &Path) -> Result<usize, String> {
    let tree = run(package, &["cargo", "tree", "--edges=normal,build", "--prefix=none", "--format={p}"])?;
    // A crate that was listed before has a mark after its version.
    let mut crates: Vec<_> = tree.lines().map(|line| line.trim_end_matches(" (*)").trim()).collect();
    crates.sort_unstable();
    crates.dedup();
    Ok(crates.iter().filter(|line| !line.is_empty()).count().saturating_sub(1))
}

/// The CPU seconds of a command and of every process that it starts.
fn cpu_seconds(package: &Path, command: &[&str]) -> Result<f64, String> {
    let in_bash = [&["bash", "-c", "TIMEFORMAT='%U %S'; time \"$@\"", "bash"], command].concat();
    let (_, said) = output(package, &in_bash)?;
    let times = said.lines().last().unwrap_or_default();
    let seconds: Result<Vec<f64>, _> = times.split(' ').map(str::parse).collect();
    seconds.map(|seconds| seconds.iter().sum()).map_err(|_| format!("no times: {said}"))
}

fn run(package: &Path, command: &[&str]) -> Result<String, String> {
    output(package, command).map(|(out, _)| out)
}

/// What a command writes to standard output and to standard error.
fn output(package: &Path, command: &[&str]) -> Result<(String, String), String> {
    let [program, arguments @ ..] = command else { return Err("no command".to_owned()) };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(package)
        .env("CARGO_TARGET_DIR", "target")
        .output()
        .map_err(|error| format!("{program} does not run: {error}"))?;
    let [out, said] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if output.status.success() {
        Ok((out, said))
    } else {
        Err(format!("{}: {command:?} failed:\n{said}", package.display()))
    }
}

//! The processes: Redis, and instances of the program.

use std::{
    fs,
    path::PathBuf,
    process::{Stdio, id},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use redis::aio::MultiplexedConnection;
use tempfile::{NamedTempFile, TempDir};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};
use url::Url;

/// The address that people see. The browser of the tests chooses the instance, as a load balancer does.
const PUBLIC: &str = "http://127.0.0.1/";

/// Waits until a condition holds.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = timeout(Duration::from_secs(60), async {
        while !is_so().await {
            sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("nothing has changed for a minute");
}

/// A Redis for one test, at a socket in a folder. It ends when it is dropped.
pub struct Redis {
    folder: TempDir,
    _process: Child,
    _lines: Lines<BufReader<ChildStdout>>,
}

impl Redis {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "socket", "--dir"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is not installed");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        while !lines.next_line().await.unwrap().expect("Redis has ended").contains("eady to accept connections") {}
        Self { folder, _process: process, _lines: lines }
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("socket").display())
    }

    pub async fn connect(&self) -> MultiplexedConnection {
        redis::Client::open(self.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }
}

/// One of the processes behind the address. It ends when it is dropped.
pub struct Instance {
    pub url: Url,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    log: NamedTempFile,
}

impl Instance {
    /// Instances of one test have the same key.
    pub async fn start(options: &[&str]) -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_login-on-the-web"))
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .env_remove("REDIS_URL")
            .env("COOKIE_KEY", STANDARD.encode(format!("{:>64}", id())))
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap();
        let url = line.as_deref().and_then(|line| line.strip_prefix("listening on "));
        let url = url.unwrap_or_else(|| panic!("the program does not listen: {}", fs::read_to_string(&log).unwrap()));
        Self { url: Url::parse(url).unwrap(), process, lines, log }
    }

    /// Two instances that share a Redis.
    pub async fn two(redis: &Redis, options: &[&str]) -> [Self; 2] {
        let url = redis.url();
        let all = [&["--redis", &url, "--public-address", PUBLIC, "--allow-private"], options].concat();
        [Self::start(&all).await, Self::start(&all).await]
    }

    /// Asks it to stop, and returns when it takes no more connections.
    pub async fn stop(&self) {
        let id = self.process.id().unwrap().to_string();
        let killed = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]).status().await;
        assert!(killed.unwrap().success());
        let address = (self.url.host_str().unwrap(), self.url.port().unwrap());
        until(async || TcpStream::connect(address).await.is_err()).await;
    }

    pub async fn end(mut self) {
        assert!(self.process.wait().await.unwrap().success());
    }

    /// Kills the process. Returns everything that it has said.
    pub async fn kill(mut self) -> String {
        self.process.kill().await.unwrap();
        let mut said = fs::read_to_string(PathBuf::from(self.log.path())).unwrap();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            said.push_str(&line);
        }
        said
    }
}

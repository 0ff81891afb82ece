#!/usr/bin/env python3
"""Runs the tests against Synapse, behind nginx where a test needs a proxy.

usage: python3 tests/synapse/run.py [--record] [cargo test's arguments]

Synapse is installed from PyPI into target/synapse, and an OpenID provider from npm, once. They run on loopback, with a
database in a new folder. So does the page of stacks/browser, if `.ci/wasm` has a compiler for it. nginx, openssl,
Node.js and Chromium with its driver must be installed (Debian: nginx-light, openssl, nodejs, npm, chromium,
chromium-driver). Every process that was started is ended by its ID, also when the tests fail. With --record, and if
the tests pass, the exchanges replace the files in tests/transcripts/synapse-VERSION.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

VERSION = "1.163.2"
PROVIDER_VERSION = "9.13.3"
HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
INSTALLED = TOP / "target" / "synapse"
SHARED_SECRET = "made-up shared secret"
APPLICATION_SERVICE_TOKEN = "made-up-as-token"
PROVIDER_SECRET = "made-up-provider-secret"
PASSWORD = "wonderland"
# The users of each homeserver, and what changes after their registration.
USERS = {
    "alice": {
        "threepids": [
            {"medium": "email", "address": "alice@example.org"},
            {"medium": "msisdn", "address": "447700900123"},
        ],
    },
    "bob": {},
    "carol": {},
    "dave": {},
    "erin": {},
    "locked": {"locked": True},
    "deactivated": {"deactivated": True},
}


def install():
    """The Python of an environment with Synapse in it."""
    python = INSTALLED / f"synapse-{VERSION}" / "bin" / "python"
    finished = python.parent / "finished"
    if not finished.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, f"matrix-synapse[oidc]=={VERSION}"], check=True)
        finished.touch()
    return python


def install_provider():
    """A folder with the OpenID provider in it."""
    folder = INSTALLED / f"provider-{PROVIDER_VERSION}"
    if not (folder / "finished").exists():
        folder.mkdir(parents=True, exist_ok=True)
        package = f"oidc-provider@{PROVIDER_VERSION}"
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, package], check=True)
        (folder / "finished").touch()
    # Node.js finds the package beside this file.
    shutil.copy(HERE / "provider.mjs", folder)
    return folder


def free_ports(count):
    """Free ports. All of them are taken at the same time, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for taken in sockets:
        taken.bind(("127.0.0.1", 0))
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def request(method, url, body=None, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.load(answer)


class Synapse:
    """A homeserver with its own process, port and database."""

    def __init__(self, name, python, folder, port, **differences):
        self.name, self.url, self.admin_token = name, f"http://127.0.0.1:{port}", None
        self.folder = folder / name
        self.folder.mkdir()
        unlimited = {"per_second": 10000, "burst_count": 10000}
        config = {
            "server_name": "example.test",
            "listeners": [{
                "port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": False, "x_forwarded": True,
                "resources": [{"names": ["client"], "compress": False}],
            }],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "registration_shared_secret": SHARED_SECRET,
            "macaroon_secret_key": "made-up macaroon secret",
            "form_secret": "made-up form secret",
            "report_stats": False,
            "trusted_key_servers": [],
            "bcrypt_rounds": 4,
            "rc_login": {"address": unlimited, "account": unlimited, "failed_attempts": unlimited},
            **differences,
        }
        key = base64.b64encode(os.urandom(32)).decode().rstrip("=")
        (self.folder / "signing.key").write_text(f"ed25519 a_test {key}\n")
        # JSON is valid YAML.
        (self.folder / "homeserver.yaml").write_text(json.dumps(config))
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [python, "-m", "synapse.app.homeserver", "-c", self.folder / "homeserver.yaml"],
            cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT,
        )

    def wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                return request("GET", f"{self.url}/_matrix/client/versions")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise SystemExit(f"Synapse {self.name} does not start:\n{(self.folder / 'log').read_text()[-4000:]}")

    def register(self, user, password, admin=False):
        """Creates a user, and returns an access token of that user."""
        url = f"{self.url}/_synapse/admin/v1/register"
        nonce = request("GET", url)["nonce"]
        parts = [nonce, user, password, "admin" if admin else "notadmin"]
        mac = hmac.new(SHARED_SECRET.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": user, "password": password, "admin": admin, "mac": mac}
        return request("POST", url, body)["access_token"]

    def make_users(self):
        self.admin_token = self.register("admin", "made-up admin password", admin=True)
        for user, change in USERS.items():
            self.register(user, PASSWORD)
            if change:
                url = f"{self.url}/_synapse/admin/v2/users/@{user}:example.test"
                request("PUT", url, change, self.admin_token)

    def end(self):
        end(self.process)
        self.log.close()


class OAuthSynapse(Synapse):
    """A homeserver without its own logins: the provider is its authorization server."""

    def __init__(self, name, python, folder, port, provider_port):
        service = {"enabled": True, "endpoint": f"http://127.0.0.1:{provider_port}/", "secret": PROVIDER_SECRET}
        super().__init__(
            name, python, folder, port, matrix_authentication_service=service, password_config={"enabled": False},
        )

    def make_users(self):
        for user in ["alice", "bob", "carol"]:
            request("POST", f"{self.url}/_synapse/mas/provision_user", {"localpart": user}, PROVIDER_SECRET)


class Provider:
    """An OpenID provider and authorization server, which accepts any user name and password."""

    def __init__(self, installed, folder, port, sso_url, oauth_url):
        self.port, self.url, self.log = port, f"http://127.0.0.1:{port}", folder / "provider.log"
        callback = f"{sso_url}/_synapse/client/oidc/callback"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["node", installed / "provider.mjs", str(port), PROVIDER_SECRET, callback, oauth_url],
                stdout=log, stderr=subprocess.STDOUT,
            )

    def wait(self):
        wait_for_port(self.port, self.process, self.log)

    def end(self):
        end(self.process)


class Page:
    """A web server with the page of `stacks/browser`, if it could be built."""

    def __init__(self, page_folder, folder, port):
        self.port, self.log = port, folder / "page.log"
        self.url = f"http://127.0.0.1:{port}/" if (page_folder / "index.html").exists() else None
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", page_folder, str(port)],
                stdout=log, stderr=subprocess.STDOUT,
            )

    def wait(self):
        wait_for_port(self.port, self.process, self.log)

    def end(self):
        end(self.process)


def open_id(port, idp_id, idp_name):
    """Synapse's configuration of a provider. Its issuer is on plain http, which must be permitted."""
    return {
        "idp_id": idp_id, "idp_name": idp_name, "idp_brand": "example", "idp_icon": "mxc://example.test/icon",
        "issuer": f"http://127.0.0.1:{port}", "skip_verification": True, "client_id": "synapse",
        "client_secret": PROVIDER_SECRET, "client_auth_method": "client_secret_basic",
        "scopes": ["openid", "profile"], "allow_existing_users": True,
        "user_mapping_provider": {"config": {"subject_claim": "sub", "localpart_template": "{{ user.sub }}"}},
    }


def wait_for_port(port, process, log):
    for _ in range(100):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionError:
            time.sleep(0.1)
    raise SystemExit(f"{process.args[0]} does not start:\n{log.read_text()}")


class Nginx:
    """The nginx in front of homeservers: a virtual host for each way to behave, without and with TLS."""

    def __init__(self, folder, port, tls_port, homeserver_url, closed_port):
        self.port, self.tls_port, self.folder = port, tls_port, folder / "nginx"
        self.folder.mkdir()
        homeserver = {"base_url": "https://example.test"}
        well_known = json.dumps({"m.homeserver": homeserver, "org.example.padding": "x" * 2000})
        (self.folder / "client").write_text(well_known)
        listen = f"listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl;"
        served = f"default_type application/octet-stream; alias {self.folder}/client;"
        file = f"location = /.well-known/matrix/client {{ {served} }}"
        hosts = {
            "example.test": f"{file} location / {{ proxy_pass {homeserver_url}; }}",
            # The homeserver's own well-known file names its address without TLS.
            "plain.test": f"location / {{ proxy_pass {homeserver_url}; }}",
            "moved.test": "return 301 https://www.moved.test$request_uri;",
            "www.moved.test": file,
            "down.test": f"location / {{ proxy_pass http://127.0.0.1:{closed_port}; }}",
            "absent.test": f"root {self.folder}/nothing;",
            "direct.test": f"location /.well-known {{ return 404; }} location / {{ proxy_pass {homeserver_url}; }}",
            "small.test": f"client_max_body_size 1; location / {{ proxy_pass {homeserver_url}; }}",
            "zipped.test": f"gzip on; gzip_types *; gzip_min_length 1; {file}",
            "site.test": "default_type text/html; return 200 '<!DOCTYPE html><title>a web site</title>';",
            "limited.test": "default_type text/html; return 429 '<html>error code: 1015</html>';",
        }
        self.authority = make_certificates(self.folder, hosts)
        servers = "\n".join(f"server {{ {listen} server_name {name}; {what} }}" for name, what in hosts.items())
        (self.folder / "nginx.conf").write_text(f"""
            daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/error.log;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
                fastcgi_temp_path {self.folder}/fastcgi; uwsgi_temp_path {self.folder}/uwsgi;
                scgi_temp_path {self.folder}/scgi;
                ssl_certificate {self.folder}/server.pem; ssl_certificate_key {self.folder}/server.key;
                {servers}
            }}""")
        self.process = subprocess.Popen(
            [find("nginx"), "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"],
        )

    def wait(self):
        wait_for_port(self.port, self.process, self.folder / "error.log")

    def end(self):
        end(self.process)


def make_certificates(folder, hosts):
    """A temporary certificate authority, and its certificate for these hosts."""
    def openssl(*arguments):
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, **nowhere)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "authority.key", "-out", "authority.pem",
            "-days", "2", "-subj", "/CN=throw-away authority", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=test")
    names = ",".join(f"DNS:{host}" for host in hosts)
    (folder / "extensions").write_text(
        f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
            "-out", "server.pem", "-days", "2", "-extfile", "extensions")
    return folder / "authority.pem"


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def build(example):
    """An example program, built from its current source. Some tests run it as a process."""
    command = ["cargo", "build", "--quiet", "--locked", "--example", example, "--message-format", "json"]
    messages = subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE).stdout.splitlines()
    artifacts = [message for message in map(json.loads, messages) if message.get("target", {}).get("name") == example]
    return artifacts[-1]["executable"]


def build_stacks():
    """The folder with the programs of `stacks`, built from their current source."""
    target = TOP / "target" / "stacks"
    for manifest in sorted((TOP / "stacks").glob("*/Cargo.toml")):
        command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir", target]
        subprocess.run(command, check=True)
    return str(target / "debug")


def build_page():
    """A folder with the page of `stacks/browser`. The folder is empty if there is no compiler for the page."""
    page = TOP / "target" / "page"
    page.mkdir(parents=True, exist_ok=True)
    subprocess.run([TOP / ".ci" / "wasm", page], check=True)
    return page


def application_service(folder):
    path = folder / "application_service.yaml"
    path.write_text(json.dumps({
        "id": "bridge", "url": None, "as_token": APPLICATION_SERVICE_TOKEN, "hs_token": "made-up-hs-token",
        "sender_localpart": "bridge", "rate_limited": False,
        "namespaces": {"users": [{"exclusive": True, "regex": "@as_.*:example.test"}], "rooms": [], "aliases": []},
    }))
    return str(path)


def start(python, provider_folder, page_folder, folder, started):
    """Starts all servers, and describes them. A started server is in the list even if the next one fails."""
    ports = free_ports(13)

    def synapse(name, port, kind=Synapse, **differences):
        server = kind(name, python, folder, port, **differences)
        started.append(server)
        return server

    servers = [
        # With everything that is optional: a well-known, refresh tokens, login tokens, an application service.
        synapse(
            "full", ports[0], public_baseurl=f"http://127.0.0.1:{ports[0]}/",
            app_service_config_files=[application_service(folder)],
            refreshable_access_token_lifetime="5m", refresh_token_lifetime="1h",
            login_via_existing_session={"enabled": True, "require_ui_auth": False, "token_timeout": "2s"},
            rc_login_token={"per_second": 10000, "burst_count": 10000}, allow_guest_access=True,
        ),
        # Without all of that, and with tokens that expire.
        synapse("bare", ports[1], refreshable_access_token_lifetime=None, nonrefreshable_access_token_lifetime="3s"),
        # Allows one login, and one more every two seconds.
        # Limits logins by address, and not by account, because a limit by account lasts for minutes.
        synapse("strict", ports[2], rc_login={
            "address": {"per_second": 0.5, "burst_count": 1}, "account": {"per_second": 10000, "burst_count": 10000},
        }),
        synapse("no_passwords", ports[3], password_config={"enabled": False}),
        # A test ends this server.
        synapse("mortal", ports[4]),
        # Single sign-on with a provider that runs, and with one that does not run.
        synapse(
            "sso", ports[8], public_baseurl=f"http://127.0.0.1:{ports[8]}/",
            oidc_providers=[open_id(ports[9], "op", "Example"), open_id(ports[7], "down", "Nobody")],
            sso={"client_whitelist": ["http://127.0.0.1:", "org.example.app:"]},
            # Asks for a password or the browser once more before it grants a login token.
            login_via_existing_session={"enabled": True, "require_ui_auth": True, "token_timeout": "2m"},
            rc_login_token={"per_second": 10000, "burst_count": 10000},
        ),
        # Tokens that expire while a test waits.
        synapse("short", ports[10], refreshable_access_token_lifetime="3s", refresh_token_lifetime="8s"),
        # The OAuth 2.0 API.
        synapse("oauth", ports[11], kind=OAuthSynapse, provider_port=ports[9]),
    ]
    provider = Provider(provider_folder, folder, ports[9], servers[5].url, servers[7].url)
    started.append(provider)
    nginx = Nginx(folder, ports[5], ports[6], servers[0].url, ports[7])
    started.append(nginx)
    page = Page(page_folder, folder, ports[12])
    started.append(page)
    for server in servers:
        server.wait()
        server.make_users()
    nginx.wait()
    provider.wait()
    page.wait()
    return {
        "version": VERSION,
        "servers": {server.name: server.url for server in servers},
        "provider": provider.url,
        "page": page.url,
        "passwords": dict.fromkeys(USERS, PASSWORD),
        "application_service_token": APPLICATION_SERVICE_TOKEN,
        "admin_tokens": {server.name: server.admin_token for server in servers},
        "nginx": nginx.port,
        "nginx_tls": nginx.tls_port,
        "authority": str(nginx.authority),
        "mortal_process": servers[4].process.pid,
    }


def check_programs():
    packages = {
        "nginx": "nginx-light", "openssl": "openssl", "node": "nodejs", "npm": "npm", "chromium": "chromium",
        "chromedriver": "chromium-driver",
    }
    missing = [package for program, package in packages.items() if not find(program)]
    if missing:
        debians = " ".join(missing)
        raise SystemExit(f"programs are missing: install Debian's {debians}, or what your system has for them")


def find(program):
    """The path of a program. Some systems do not have servers in the search path of a user."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def main():
    check_programs()
    # If this program is asked to end, it ends every process that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = sys.argv[1:]
    record = "--record" in arguments
    arguments = [argument for argument in arguments if argument != "--record"]
    environment = dict(os.environ)
    started = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        recorded = folder / "transcripts"
        if record:
            recorded.mkdir()
            environment["RECORD_TO"] = str(recorded)
        try:
            described = start(install(), install_provider(), build_page(), folder, started)
            (folder / "servers.json").write_text(json.dumps(described))
            environment["SERVERS"] = str(folder / "servers.json")
            environment["LOGIN_PROGRAM"], environment["BROWSER_PROGRAM"] = build("login"), build("browser")
            environment["STACKS"] = build_stacks()
            command = ["cargo", "test", "--locked", "--manifest-path", str(HERE / "Cargo.toml"), *arguments]
            environment.setdefault("CARGO_TARGET_DIR", str(TOP / "target" / "synapse" / "cargo"))
            status = subprocess.run(command, env=environment).returncode
            if record and status == 0:
                transcripts = TOP / "tests" / "transcripts" / f"synapse-{VERSION}"
                shutil.rmtree(transcripts, ignore_errors=True)
                shutil.copytree(recorded, transcripts)
            return status
        finally:
            for process in reversed(started):
                process.end()


if __name__ == "__main__":
    sys.exit(main())

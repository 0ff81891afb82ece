//! A login in a web page. `page/page.js` shows the state of the login, and asks the user.

mod fetch;

use matrix_login::{
    Choice, CodeVerifier, DriveError, LoginFlow, LoginSettings, OAuthClient, Password, Redirect, ServerAddress, Step,
    Typed, UserIdentifier, drive, endpoint, one_line,
};
use url::Url;
use wasm_bindgen::prelude::*;
use web_sys::{Storage, Window};

use self::fetch::{Failure, Fetch};

/// The name under which a login is stored while the user is on another page.
const STORED: &str = "matrix-login";

/// A page about the program, on https: OAuth 2.0 servers show it to the user.
const CLIENT_URI: &str = "https://matrix-login.example/";

#[wasm_bindgen]
pub struct Login(LoginFlow);

#[wasm_bindgen]
impl Login {
    /// Begins with a server name, or with the URL of a homeserver.
    #[wasm_bindgen(constructor)]
    pub fn new(homeserver: &str) -> Result<Self, JsError> {
        let settings = LoginSettings::default()
            .with_oauth(OAuthClient::new(CLIENT_URI.parse()?, "matrix-login"))
            .with_device_id(random(8)?)?
            .with_initial_device_display_name("matrix-login in a browser");
        Ok(Self(match ServerAddress::try_from(&homeserver.parse::<Typed>()?)? {
            ServerAddress::Homeserver(homeserver) => LoginFlow::at(homeserver, settings),
            ServerAddress::ServerName(server_name) => LoginFlow::discover(server_name, settings),
        }))
    }

    /// The login to which the user comes back from another page, if there is one.
    pub fn resumed() -> Result<Option<Self>, JsError> {
        let (window, storage) = (window()?, storage()?);
        let Some(stored) = storage.get_item(STORED).map_err(Failure::from)? else { return Ok(None) };
        // The stored login can be used only once.
        storage.remove_item(STORED).map_err(Failure::from)?;
        let callback = Url::parse(&window.location().href().map_err(Failure::from)?)?;
        if endpoint::callback::state(&callback).is_none() {
            return Ok(None);
        }
        // Otherwise the parameters of the address would stay in the history, and visible for the user.
        let history = window.history().map_err(Failure::from)?;
        history.replace_state_with_url(&JsValue::NULL, "", Some(&here()?)).map_err(Failure::from)?;
        let mut flow = LoginFlow::resume(serde_json::from_str(&stored)?);
        flow.handle_callback(&callback)?;
        Ok(Some(Self(flow)))
    }

    /// Goes on until the user is needed.
    pub async fn run(&mut self) -> Result<(), JsError> {
        let mut fetch = Fetch(window()?);
        loop {
            let Err(error) = drive(&mut self.0, &mut fetch).await else { return Ok(()) };
            // In discovery, the flow itself handles a server that does not respond.
            let is_handled = match (&error, self.0.step()) {
                (DriveError::Transport(_), Step::Send { id, .. }) => self.0.handle_unreachable(id).is_ok(),
                _ => false,
            };
            if !is_handled {
                return Err(error.into());
            }
        }
    }

    /// What the user must do next: `locate`, `choose`, `browse` or `done`.
    #[wasm_bindgen(getter)]
    pub fn step(&self) -> String {
        let name = match self.0.step() {
            Step::Locate { .. } => "locate",
            Step::Choose { .. } => "choose",
            Step::Browse(_) => "browse",
            Step::Done(_) => "done",
            Step::Send { .. } | Step::Wait(_) | Step::ShowCode(_) => "run",
        };
        name.into()
    }

    /// What to tell the user.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> Option<String> {
        match self.0.step() {
            Step::Locate { failure, .. } => Some(failure.to_string()),
            Step::Choose { refused, .. } => refused.map(ToString::to_string),
            Step::Done(session) => Some(format!("logged in as {}", one_line(session.user_id().as_str()))),
            Step::Browse(_) | Step::Send { .. } | Step::Wait(_) | Step::ShowCode(_) => None,
        }
    }

    /// Whether the homeserver accepts passwords.
    #[wasm_bindgen(getter, js_name = takesPassword)]
    pub fn takes_password(&self) -> bool {
        self.offers("m.login.password")
    }

    /// The host of the page where the user can log in: the page of OAuth 2.0, or else the homeserver's single sign-on.
    #[wasm_bindgen(getter, js_name = pageHost)]
    pub fn page_host(&self) -> Option<String> {
        if let Step::Choose { oauth: Some(metadata), .. } = self.0.step() {
            return metadata.authorization_endpoint.as_ref()?.url().host_str().map(str::to_owned);
        }
        self.0.homeserver().filter(|_| self.offers("m.login.sso")).map(ToString::to_string)
    }

    #[wasm_bindgen(js_name = choosePassword)]
    pub fn choose_password(&mut self, user: &str, password: String) -> Result<(), JsError> {
        let identifier = UserIdentifier::try_from(user.parse::<Typed>()?.best())?;
        Ok(self.0.choose(Choice::password(identifier, Password::new(password)))?)
    }

    /// Chooses the other page. The next step is `browse`.
    #[wasm_bindgen(js_name = choosePage)]
    pub fn choose_page(&mut self) -> Result<(), JsError> {
        let redirect = Redirect::new(here()?, random(16)?)?;
        let choice = match self.0.step() {
            Step::Choose { oauth: Some(_), .. } => {
                Choice::authorization_code(redirect, CodeVerifier::new(random(32)?)?)
            }
            _ => Choice::sso(redirect),
        };
        Ok(self.0.choose(choice)?)
    }

    /// Opens the page where the user logs in. This page ends then, and `resumed` goes on later.
    pub fn leave(&self) -> Result<(), JsError> {
        if let (Step::Browse(url), Some(suspended)) = (self.0.step(), self.0.suspend()) {
            storage()?.set_item(STORED, &serde_json::to_string(&suspended)?).map_err(Failure::from)?;
            window()?.location().assign(url.as_str()).map_err(Failure::from)?;
        }
        Ok(())
    }

    fn offers(&self, login_type: &str) -> bool {
        let Step::Choose { login_types, .. } = self.0.step() else { return false };
        login_types.for_a_person().any(|offered| offered.name() == login_type)
    }
}

fn window() -> Result<Window, JsError> {
    web_sys::window().ok_or_else(|| JsError::new("only a page can log in, not a worker"))
}

/// The storage ends with the tab. All scripts of the origin of this page can read it, and scripts of other origins
/// cannot.
fn storage() -> Result<Storage, JsError> {
    window()?.session_storage().map_err(Failure::from)?.ok_or_else(|| JsError::new("the browser has no sessionStorage"))
}

/// The address of this page, without what a login adds to it.
fn here() -> Result<String, JsError> {
    let location = window()?.location();
    let (origin, path) = (location.origin().map_err(Failure::from)?, location.pathname().map_err(Failure::from)?);
    Ok(origin + &path)
}

/// Random bytes, in hexadecimal. A state, a code verifier and a device ID can contain all of these characters.
fn random(bytes: usize) -> Result<String, JsError> {
    let mut random = vec![0; bytes];
    window()?.crypto().and_then(|crypto| crypto.get_random_values_with_u8_array(&mut random)).map_err(Failure::from)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

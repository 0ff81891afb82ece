//! A browser: it keeps cookies, and follows links and redirects.

use reqwest::{
    Client, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
    redirect::Policy,
};
use url::{Url, form_urlencoded};

use crate::program::Instance;

pub struct Browser(Client);

pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    pub fn assert_refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.text.contains(words), "{words}: {}", self.text);
    }

    /// The target of the first link.
    pub fn link(&self) -> Url {
        let (_, link) = self.text.split_once("href=\"").unwrap_or_else(|| panic!("no link: {}", self.text));
        Url::parse(&link.split_once('"').unwrap().0.replace("&amp;", "&")).unwrap()
    }
}

impl Browser {
    pub fn new() -> Self {
        Self(Client::builder().cookie_store(true).redirect(Policy::none()).no_proxy().build().unwrap())
    }

    /// Sends the form of the first page.
    pub async fn begin(&self, instance: &Instance, homeserver: &str) -> Page {
        page(self.form(instance, homeserver).send().await.unwrap()).await
    }

    pub fn form(&self, instance: &Instance, homeserver: &str) -> RequestBuilder {
        let form = form_urlencoded::Serializer::new(String::new()).append_pair("homeserver", homeserver).finish();
        let request = self.0.post(instance.url.join("/login").unwrap());
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
    }

    /// Logs in on the page of the homeserver. Returns the address to which that sends the browser.
    pub async fn log_in(&self, page: &Page) -> Url {
        let response = self.0.get(page.link()).send().await.unwrap();
        Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap()
    }

    /// Begins a login, and comes back with the callback.
    pub async fn begin_and_log_in(&self, instance: &Instance, homeserver: &str) -> Url {
        self.log_in(&self.begin(instance, homeserver).await).await
    }

    /// Opens the public address at the instance that the load balancer chooses.
    pub async fn open(&self, instance: &Instance, address: &Url) -> Page {
        let page = self.open_without_redirect(instance, address).await;
        match page.headers.get(LOCATION) {
            Some(location) => {
                let next = instance.url.join(location.to_str().unwrap()).unwrap();
                self.open_without_redirect(instance, &next).await
            }
            None => page,
        }
    }

    pub async fn open_without_redirect(&self, instance: &Instance, address: &Url) -> Page {
        let mut address = address.clone();
        address.set_port(instance.url.port()).unwrap();
        page(self.0.get(address).send().await.unwrap()).await
    }

    pub async fn start_page(&self, instance: &Instance) -> Page {
        self.open(instance, &instance.url).await
    }

    pub async fn log_out(&self, instance: &Instance) -> Page {
        page(self.0.post(instance.url.join("/logout").unwrap()).send().await.unwrap()).await
    }
}

async fn page(response: Response) -> Page {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Page { status, headers, text: response.text().await.unwrap() }
}

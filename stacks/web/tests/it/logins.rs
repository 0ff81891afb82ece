//! Logins of one browser and of many, at one instance and at two.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use redis::AsyncCommands;
use tokio::{join, task::JoinSet, time::sleep};

use crate::{
    browser::Browser,
    homeserver::{Homeserver, Offers, SECRETS, number},
    program::{Instance, Redis, until},
};

const POST_LOGIN: &str = "POST /_matrix/client/v3/login";
const OVER: &str = "This login was finished already, or it took too long; begin again.";
const FOREIGN: &str = "This login began in another browser";

/// A login goes from the first instance, which is killed in the meantime, to the second one.
async fn from_one_to_the_other(offers: Offers, page_of_login: &str, end: &str) {
    let (redis, homeserver, browser) = (Redis::start().await, Homeserver::start(offers).await, Browser::new());
    let [first, second] = Instance::two(&redis, &[]).await;

    let page = browser.begin(&first, &homeserver.url()).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for shown in [homeserver.url(), format!("Log in at {page_of_login}</a>")] {
        assert!(page.text.contains(&shown), "{shown}: {}", page.text);
    }
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Max-Age=300"));
    assert!(!cookie.contains("Secure"));
    let mut connection = redis.connect().await;
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    let [key] = &*keys else { panic!("{keys:?}") };
    let state = key.strip_prefix("login:").unwrap();
    let seconds: i64 = connection.ttl(key).await.unwrap();
    assert!((1..=300).contains(&seconds), "{seconds}");

    let mut said = first.kill().await;
    let callback = browser.log_in(&page).await;
    let page = browser.open(&second, &callback).await;
    assert!(page.text.contains("@user1:example.org"), "{}", page.text);

    let page = browser.log_out(&second).await;
    assert!(page.text.contains("You are logged out."), "{}", page.text);
    assert_eq!(homeserver.count(end), 1);
    let page = browser.start_page(&second).await;
    assert!(page.text.contains("Your homeserver"), "{}", page.text);
    assert!(connection.keys::<_, Vec<String>>("*").await.unwrap().is_empty());

    said += &second.kill().await;
    for secret in SECRETS.iter().chain([&state]) {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[tokio::test]
async fn a_single_sign_on_goes_on_at_another_instance() {
    from_one_to_the_other(Offers::SingleSignOn, "127.0.0.1", "POST /_matrix/client/v3/logout").await;
}

#[tokio::test]
async fn an_authorization_code_grant_goes_on_at_another_instance() {
    from_one_to_the_other(Offers::OAuth, "localhost", "POST /revoke").await;
}

#[tokio::test]
async fn a_callback_counts_once() {
    let (redis, homeserver) = (Redis::start().await, Homeserver::start(Offers::SingleSignOn).await);
    let (instances, browser) = (Instance::two(&redis, &[]).await, Browser::new());
    let callback = browser.begin_and_log_in(&instances[0], &homeserver.url()).await;
    let (first, second) = join!(browser.open(&instances[0], &callback), browser.open(&instances[1], &callback));
    let (granted, refused) = if first.status == 200 { (first, second) } else { (second, first) };
    assert!(granted.text.contains("@user1:example.org"), "{}", granted.text);
    refused.assert_refused(400, OVER);
    for instance in &instances {
        browser.open(instance, &callback).await.assert_refused(400, OVER);
        let page = browser.start_page(instance).await;
        assert!(page.text.contains("@user1:example.org"), "{}", page.text);
    }
    assert_eq!(homeserver.count(POST_LOGIN), 1);
}

#[tokio::test]
async fn a_callback_of_another_browser_changes_nothing() {
    let (redis, homeserver) = (Redis::start().await, Homeserver::start(Offers::OAuth).await);
    let ([first, second], browser) = (Instance::two(&redis, &[]).await, Browser::new());
    let callback = browser.begin_and_log_in(&first, &homeserver.url()).await;

    let without_cookie = Browser::new();
    without_cookie.open(&second, &callback).await.assert_refused(400, FOREIGN);
    let with_its_own = Browser::new();
    let other = with_its_own.begin_and_log_in(&second, &homeserver.url()).await;
    with_its_own.open(&second, &callback).await.assert_refused(400, FOREIGN);
    assert_eq!(homeserver.count("POST /token"), 0);

    let page = browser.open(&second, &callback).await;
    assert!(page.text.contains("@user1:example.org"), "{}", page.text);
    let page = with_its_own.open(&first, &other).await;
    assert!(page.text.contains("@user2:example.org"), "{}", page.text);
}

#[tokio::test]
async fn an_instance_that_is_stopped_finishes_its_logins() {
    let (redis, homeserver) = (Redis::start().await, Homeserver::start(Offers::SingleSignOn).await);
    let ([first, second], browser) = (Instance::two(&redis, &[]).await, Browser::new());
    let callback = browser.begin_and_log_in(&first, &homeserver.url()).await;
    let held = homeserver.hold().await;
    let stop = async {
        until(async || homeserver.count(POST_LOGIN) == 1).await;
        first.stop().await;
        drop(held);
    };
    let (page, ()) = join!(browser.open_without_redirect(&first, &callback), stop);
    assert_eq!(page.status, 303, "{}", page.text);
    first.end().await;
    let page = browser.start_page(&second).await;
    assert!(page.text.contains("@user1:example.org"), "{}", page.text);
}

#[tokio::test]
async fn a_person_can_refuse() {
    let (homeserver, browser) = (Homeserver::start(Offers::OAuth).await, Browser::new());
    let instance = Instance::start(&["--allow-private"]).await;
    let page = browser.begin(&instance, &homeserver.url()).await;
    let state = page.link().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let callback = instance.url.join(&format!("/callback?error=access_denied&state={state}")).unwrap();
    browser
        .open(&instance, &callback)
        .await
        .assert_refused(403, "Nobody is logged in: the server refused (access_denied)");
    browser.open(&instance, &callback).await.assert_refused(400, OVER);
}

#[tokio::test]
async fn a_logout_without_a_confirmation_ends_the_session_here() {
    let (homeserver, browser) = (Homeserver::start(Offers::NoLogout).await, Browser::new());
    let instance = Instance::start(&["--allow-private"]).await;
    let callback = browser.begin_and_log_in(&instance, &homeserver.url()).await;
    browser.open(&instance, &callback).await;
    let page = browser.log_out(&instance).await;
    assert!(page.text.contains("your homeserver has not confirmed it"), "{}", page.text);
    let page = browser.start_page(&instance).await;
    assert!(page.text.contains("Your homeserver"), "{}", page.text);
}

#[tokio::test]
async fn two_tabs_of_a_browser_both_log_in() {
    let (redis, homeserver) = (Redis::start().await, Homeserver::start(Offers::SingleSignOn).await);
    let ([first, second], browser) = (Instance::two(&redis, &[]).await, Browser::new());
    let one = browser.begin_and_log_in(&first, &homeserver.url()).await;
    let other = browser.begin_and_log_in(&second, &homeserver.url()).await;
    for (callback, user) in [(other, "@user2:example.org"), (one, "@user1:example.org")] {
        let page = browser.open(&first, &callback).await;
        assert!(page.text.contains(user), "{}", page.text);
    }
    // The session that the browser no longer has was logged out.
    assert_eq!(homeserver.count("POST /_matrix/client/v3/logout"), 1);
}

#[tokio::test]
async fn a_login_ends_after_a_while() {
    let (redis, homeserver) = (Redis::start().await, Homeserver::start(Offers::SingleSignOn).await);
    let ([first, second], browser) = (Instance::two(&redis, &["--time-to-live", "1"]).await, Browser::new());
    let callback = browser.begin_and_log_in(&first, &homeserver.url()).await;
    let mut connection = redis.connect().await;
    until(async || connection.keys::<_, Vec<String>>("*").await.unwrap().is_empty()).await;
    browser.open(&second, &callback).await.assert_refused(400, OVER);
    assert_eq!(homeserver.count(POST_LOGIN), 0);
}

#[tokio::test]
async fn a_hundred_logins_at_once_all_succeed() {
    let redis = Redis::start().await;
    let homeservers = Arc::new([Homeserver::start(Offers::SingleSignOn).await, Homeserver::start(Offers::OAuth).await]);
    let instances = Arc::new(Instance::two(&redis, &[]).await);
    let mut logins = JoinSet::new();
    for index in 0..100 {
        let (homeservers, instances) = (Arc::clone(&homeservers), Arc::clone(&instances));
        logins.spawn(async move {
            let (homeserver, browser) = (&homeservers[index / 2 % 2], Browser::new());
            let callback = browser.begin_and_log_in(&instances[index % 2], &homeserver.url()).await;
            let page = browser.open(&instances[(index + 1) % 2], &callback).await;
            let is_secret = |name: &str| ["loginToken", "code"].contains(&name);
            let secret = callback.query_pairs().find(|(name, _)| is_secret(name)).unwrap().1;
            let number = number(&secret);
            assert!(page.text.contains(&format!("@user{number}:example.org")), "{}", page.text);
            (index / 2 % 2, number)
        });
    }
    let users: BTreeSet<_> = logins.join_all().await.into_iter().collect();
    assert_eq!(users.len(), 100);
}

#[tokio::test]
async fn one_instance_needs_no_redis() {
    let instance = Instance::start(&["--allow-private"]).await;
    for offers in [Offers::SingleSignOn, Offers::OAuth] {
        let (homeserver, browser) = (Homeserver::start(offers).await, Browser::new());
        let callback = browser.begin_and_log_in(&instance, &homeserver.url()).await;
        Browser::new().open(&instance, &callback).await.assert_refused(400, FOREIGN);
        let page = browser.open(&instance, &callback).await;
        assert!(page.text.contains("@user1:example.org"), "{}", page.text);
        browser.open(&instance, &callback).await.assert_refused(400, OVER);
    }
}

#[tokio::test]
async fn a_login_ends_after_a_while_without_redis() {
    let (homeserver, browser) = (Homeserver::start(Offers::OAuth).await, Browser::new());
    let instance = Instance::start(&["--allow-private", "--time-to-live", "1"]).await;
    let callback = browser.begin_and_log_in(&instance, &homeserver.url()).await;
    sleep(Duration::from_secs(1)).await;
    browser.open(&instance, &callback).await.assert_refused(400, OVER);
}

#[tokio::test]
async fn a_redis_that_is_gone_is_reported_in_plain_words() {
    let (redis, homeserver, browser) = (Redis::start().await, Homeserver::start(Offers::OAuth).await, Browser::new());
    let [instance, _] = Instance::two(&redis, &[]).await;
    drop(redis);
    let page = browser.begin(&instance, &homeserver.url()).await;
    page.assert_refused(503, "This page does not work now; try again later.");
}

#[tokio::test]
async fn words_of_a_homeserver_are_escaped() {
    let (homeserver, browser) = (Homeserver::start(Offers::Nothing).await, Browser::new());
    let instance = Instance::start(&["--allow-private"]).await;
    let callback = browser.begin_and_log_in(&instance, &homeserver.url()).await;
    let page = browser.open(&instance, &callback).await;
    page.assert_refused(403, "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert!(!page.text.contains("<script"), "{}", page.text);
}

#[tokio::test]
async fn other_requests_than_logins_are_refused_in_plain_words() {
    let (instance, browser) = (Instance::start(&[]).await, Browser::new());
    for (path, status, words) in [
        ("/callback", 400, "This is not the end of a login."),
        ("/callback?state=made-up&loginToken=made-up", 400, OVER),
        ("/login", 404, "This page does not exist."),
        ("/made-up", 404, "This page does not exist."),
    ] {
        browser.open(&instance, &instance.url.join(path).unwrap()).await.assert_refused(status, words);
    }
    browser.begin(&instance, "").await.assert_refused(400, "expected");
    let page = browser.begin(&instance, &"a".repeat(20_000)).await;
    page.assert_refused(400, "The form has no homeserver, or it is too long.");
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let (homeserver, browser) = (Homeserver::start(Offers::SingleSignOn).await, Browser::new());
    let instance = Instance::start(&["--allow-private"]).await;
    let form = browser.form(&instance, &homeserver.url()).header("Sec-Fetch-Site", "cross-site");
    let response = form.send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.headers().get("set-cookie").is_none());
    assert_eq!(homeserver.count("GET /_matrix/client/v3/login"), 0);
}

#[tokio::test]
async fn a_public_address_with_https_has_safer_cookies() {
    let (homeserver, browser) = (Homeserver::start(Offers::OAuth).await, Browser::new());
    let instance = Instance::start(&["--allow-private", "--public-address", "https://login.example.org"]).await;
    let page = browser.begin(&instance, &homeserver.url()).await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-browser=") && cookie.contains("Secure") && cookie.contains("Path=/"));
    assert!(!cookie.contains("Domain"));
    // Browsers do not send a fragment to a server.
    assert!(page.link().query_pairs().any(|(name, value)| name == "response_mode" && value == "query"));
}

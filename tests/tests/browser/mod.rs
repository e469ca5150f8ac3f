//! A real browser for a test: Debian's chromium behind chromedriver.
//!
//! Owns both processes. Must never know a page.
#![allow(clippy::disallowed_methods, reason = "tests read the time")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;

/// What becomes true in a page without anybody's patience being tried.
pub const SOON: Duration = Duration::from_secs(20);

/// A chromedriver that ends with the test.
pub struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a browser with a profile of its own.
pub async fn browser(profile: &std::path::Path) -> (Driver, Client) {
    // It takes a free port by itself: one that we found could be somebody else's driver a moment later.
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver, from Debian's package chromium-driver");
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
    let driver = Driver(driver);
    let port = lines
        .by_ref()
        .find_map(|line| line.split_once("started successfully on port ").map(|(_, port)| port.to_owned()))
        .expect("chromedriver says its port");
    let port = port.trim_end_matches('.').to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    // A device signs its own certificate.
    let options = json!({"acceptInsecureCerts": true, "goog:chromeOptions": {"args": [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
        "--window-size=1280,900", format!("--user-data-dir={}", profile.display()),
    ]}});
    let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
    builder.capabilities(options.as_object().expect("an object").clone());
    let address = format!("http://127.0.0.1:{port}");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match builder.connect(&address).await {
            Ok(client) => return (driver, client),
            Err(error) => assert!(Instant::now() < deadline, "no browser: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until an expression is true in the page.
pub async fn until(page: &Client, what: &str) {
    until_within(page, SOON, what).await;
}

/// The same, with a patience of its own.
pub async fn until_within(page: &Client, limit: Duration, what: &str) {
    let deadline = Instant::now() + limit;
    let script = format!("return Boolean({what})");
    while !page.execute(&script, vec![]).await.is_ok_and(|v| v == json!(true)) {
        if Instant::now() > deadline {
            let shown = page.execute("return location.href + '\\n' + document.body.innerText", vec![]).await;
            panic!("never became true: {what}\n{shown:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Clicks.
pub async fn click(page: &Client, selector: &str) {
    page.find(Locator::Css(selector)).await.expect(selector).click().await.expect(selector);
}

/// Waits until the expression is true; false when the page says instead that a request did not get through. Chromium breaks
/// requests off whenever a network interface of the machine comes or goes, which engines do all the time; the page says so,
/// and a person clicks again.
pub async fn got_through(page: &Client, what: &str) -> bool {
    let lost = "document.querySelector('.toast.fault')?.textContent.includes('did not reach')";
    until_within(page, 2 * SOON, &format!("({what}) || ({lost})")).await;
    let is = page.execute(&format!("return Boolean({what})"), vec![]).await;
    let through = is.is_ok_and(|v| v == json!(true));
    if !through {
        let clear = "document.querySelectorAll('.toast').forEach((toast) => toast.remove())";
        // A page that is just being left has no message to clear.
        let _ = page.execute(clear, vec![]).await;
    }
    through
}

/// Clicks until the expression becomes true, again where the request did not get through.
pub async fn click_until(page: &Client, selector: &str, what: &str) {
    let deadline = Instant::now() + 3 * SOON;
    loop {
        click(page, selector).await;
        if got_through(page, what).await {
            return;
        }
        assert!(Instant::now() < deadline, "never got through: {selector}");
    }
}

/// Opens an address, again where the browser broke it off as above.
pub async fn open(page: &Client, url: &str) {
    let deadline = Instant::now() + SOON;
    while let Err(error) = page.goto(url).await {
        assert!(Instant::now() < deadline, "{url}: {error}");
    }
}

/// Types into a field.
pub async fn fill(page: &Client, selector: &str, text: &str) {
    let field = page.find(Locator::Css(selector)).await.expect(selector);
    field.clear().await.expect(selector);
    field.send_keys(text).await.expect(selector);
}

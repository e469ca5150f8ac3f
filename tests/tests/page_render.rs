//! The page as text: escaping, the security policy's rules, forms, reasons, well-formedness, weight.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::Write;

use dockbeacon::page::{self, Asset, PageContext, Place};
use dockbeacon::view::View;
use dockbeacon_core::auth::Role;
use dockbeacon_tests::views;

/// One tag as it stands in the text.
#[derive(Debug, Clone, Default)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
    /// How many elements are around it.
    depth: usize,
    /// Its own text and that of everything in it.
    text: String,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn has_class(&self, class: &str) -> bool {
        self.get("class").is_some_and(|c| c.split(' ').any(|one| one == class))
    }
}

const VOID: [&str; 6] = ["meta", "link", "input", "br", "hr", "wbr"];

/// Reads a document strictly: every element closed in order, every attribute quoted and named once, no raw `<` in text.
fn read(html: &str) -> Vec<Tag> {
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a document type first");
    let mut all: Vec<Tag> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(!text.contains('>'), "a raw > in {text:?}");
        for i in &open {
            all[*i].text.push_str(text);
        }
        rest = &rest[at + 1..];
        if let Some(closing) = rest.strip_prefix('/') {
            let (name, after) = closing.split_once('>').expect("the closing tag ends");
            let i = open.pop().unwrap_or_else(|| panic!("</{name}> closes nothing"));
            assert_eq!(all[i].name, name, "closed out of order");
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| c == '>' || c.is_whitespace()).expect("the tag ends");
        let mut tag = Tag { name: rest[..end].to_owned(), depth: open.len(), ..Tag::default() };
        assert!(
            tag.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "a tag named {:?}",
            tag.name
        );
        rest = &rest[end..];
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest.find(['=', '>', ' ']).expect("the attribute ends");
            let name = rest[..end].to_owned();
            rest = &rest[end..];
            let value = match rest.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').expect("the value ends");
                    assert!(!value.contains('<'), "a raw < in {name}={value:?}");
                    rest = after;
                    value.to_owned()
                }
                None => String::new(),
            };
            assert!(tag.get(&name).is_none(), "{name} twice on {}", tag.name);
            tag.attributes.push((name, value));
        }
        let void = VOID.contains(&tag.name.as_str());
        all.push(tag);
        if !void {
            open.push(all.len() - 1);
        }
    }
    assert!(open.is_empty(), "left open: {:?}", open.iter().map(|i| &all[*i].name).collect::<Vec<_>>());
    all
}

/// The tags inside the tag at an index.
fn inside(tags: &[Tag], at: usize) -> impl Iterator<Item = &Tag> {
    let depth = tags[at].depth;
    tags[at + 1..].iter().take_while(move |t| t.depth > depth)
}

/// Every place that a snapshot has.
fn places(view: &View) -> Vec<Place> {
    let mut all = vec![
        Place::Overview,
        Place::Containers,
        Place::Updates,
        Place::Device,
        Place::Settings,
        Place::Claim,
        Place::Login,
        Place::NotFound,
    ];
    all.extend(view.containers.iter().take(20).map(|c| Place::Container(c.name.clone())));
    all.extend(view.updates.iter().map(|u| Place::Update(u.tx.clone())));
    all
}

/// Every document of every state, with the words for a failure message.
fn documents() -> Vec<(String, Vec<Tag>)> {
    let mut all = Vec::new();
    for state in views::STATES.into_iter().chain(["login"]) {
        let (view, ctx) = views::state(state);
        for place in places(&view) {
            let html = page::render(&place, &view, &ctx).expect("the place is in the snapshot").into_string();
            all.push((format!("{state} {place:?}"), read(&html)));
        }
    }
    all
}

#[test]
fn every_document_is_well_formed() {
    for (what, tags) in documents() {
        let count = |name: &str| tags.iter().filter(|t| t.name == name).count();
        assert_eq!((count("h1"), count("main"), count("title")), (1, 1, 1), "{what}");
        let mut ids: Vec<_> = tags.iter().filter_map(|t| t.get("id")).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{what}: an id twice");
        for tag in &tags {
            for name in ["aria-labelledby", "aria-describedby", "for"] {
                let target = tag.get(name).unwrap_or("main");
                assert!(ids.binary_search(&target).is_ok(), "{what}: {name}={target} leads nowhere");
            }
            if let Some(target) = tag.get("href").and_then(|a| a.strip_prefix('#')) {
                assert!(ids.binary_search(&target).is_ok(), "{what}: #{target} leads nowhere");
            }
        }
    }
}

#[test]
fn nothing_that_the_security_policy_would_refuse() {
    for (what, tags) in documents() {
        for tag in tags {
            assert!(tag.name != "style", "{what}: a style element");
            for (name, value) in &tag.attributes {
                assert!(name != "style" && !name.starts_with("on"), "{what}: {name}={value}");
            }
            if tag.name == "script" {
                assert_eq!((tag.get("src"), tag.text.as_str()), (Some("/assets/page.js"), ""), "{what}");
            }
            let address = tag.get("src").or(tag.get("href")).unwrap_or("/");
            assert!(
                address.starts_with(['/', '#']) && !address.starts_with("//"),
                "{what}: {address} is elsewhere"
            );
        }
    }
}

#[test]
fn every_form_posts_and_leads_back() {
    let mut forms = 0;
    for (what, tags) in documents() {
        for (i, form) in tags.iter().enumerate().filter(|(_, t)| t.name == "form") {
            forms += 1;
            assert_eq!(form.get("method"), Some("post"), "{what}");
            assert!(form.get("action").is_some_and(|a| a.starts_with("/actions/")), "{what}");
            let back: Vec<_> = inside(&tags, i).filter(|t| t.get("name") == Some("return")).collect();
            assert_eq!(back.len(), 1, "{what}: {form:?}");
            assert!(back[0].get("value").is_some_and(|v| v.starts_with('/')), "{what}");
            assert!(
                inside(&tags, i).any(|t| t.name == "button" && t.get("type") == Some("submit")),
                "{what}"
            );
        }
    }
    assert!(forms > 100, "only {forms} forms were seen");
}

#[test]
fn every_row_says_why() {
    let mut rows = 0;
    for (what, tags) in documents() {
        for (i, row) in tags.iter().enumerate().filter(|(_, t)| t.has_class("row")) {
            rows += 1;
            // What happened is its own reason: the sentence and its time.
            let event = row.get("data-key").is_some_and(|k| k.starts_with("event-"));
            let class = if event { "when" } else { "why" };
            let why = inside(&tags, i).find(|t| t.has_class(class)).map_or("", |t| t.text.trim());
            assert!(why.len() > 3, "{what}: no reason in {}", row.text);
        }
    }
    assert!(rows > 1000, "only {rows} rows were seen");
}

#[test]
fn hostile_text_stays_text() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut view = views::rolled_back();
    for c in &mut view.containers {
        c.project = evil.to_owned();
        c.image = evil.to_owned();
        c.reason.text = evil.to_owned();
        c.version.name = evil.to_owned();
        c.status = evil.to_owned();
        c.policy_origin = evil.to_owned();
    }
    view.containers[0].name = evil.to_owned();
    view.containers[0].candidate = Some(view.containers[0].version.clone());
    view.containers[0].next = "approve".to_owned();
    for u in &mut view.updates {
        u.message = evil.to_owned();
        u.container = evil.to_owned();
        u.log = vec![evil.to_owned()];
    }
    for e in &mut view.events {
        e.text = evil.to_owned();
        e.container = evil.to_owned();
    }
    view.status.sentence = evil.to_owned();
    view.status.host_name = evil.to_owned();
    view.panel.words = evil.to_owned();
    view.panel.lamps[0].name = evil.to_owned();
    for s in &mut view.settings {
        s.value = evil.to_owned();
        s.origin = evil.to_owned();
    }
    let ctx = PageContext { flash: Some(evil.to_owned()), theme: Some(evil.to_owned()), ..views::owner() };
    for place in places(&view) {
        let html = page::render(&place, &view, &ctx).expect("the place is there").into_string();
        // The strict reader fails on any tag or attribute that the text would have opened.
        let tags = read(&html);
        assert!(tags.iter().all(|t| t.name != "img" && t.get("onerror").is_none()), "{place:?}");
        assert_eq!(tags.iter().filter(|t| t.name == "script").count(), 1, "{place:?}");
        assert_eq!(tags[0].get("data-theme"), None, "{place:?}: an unknown theme is dropped");
    }
}

#[test]
fn strangers_see_nothing_of_the_device() {
    let view = views::fault();
    for (claimed, shown) in [(false, "claim"), (true, "login")] {
        for place in places(&view).into_iter().filter(|p| !matches!(p, Place::NotFound | Place::Claim)) {
            let html = page::render(&place, &view, &views::stranger(claimed)).expect("a place").into_string();
            assert_eq!(read(&html)[0].get("data-place"), Some(shown), "{place:?}");
            for secret in ["nextcloud", "grafana", &view.status.sentence, "config.yaml"] {
                // A login leads back to the place that was asked for, so its own name may stand in the form.
                let named = place.address().contains(secret);
                assert!(named || !html.contains(secret), "{place:?} shows {secret}");
            }
        }
    }
}

#[test]
fn readers_get_no_buttons_and_operators_no_panel_button() {
    let view = views::waiting();
    let actions = |role| -> Vec<String> {
        let ctx = PageContext { role: Some(role), ..views::owner() };
        let mut all: Vec<_> = places(&view)
            .iter()
            .filter(|p| !matches!(p, Place::Claim | Place::Login))
            .filter_map(|p| page::render(p, &view, &ctx))
            .flat_map(|m| read(&m.into_string()))
            .filter_map(|t| t.get("action").map(|a| a.trim_start_matches("/actions/").to_owned()))
            .collect();
        all.sort();
        all.dedup();
        all
    };
    let operate = ["approve", "check", "logout", "pause", "rollback", "update"];
    let admin = ["approve", "check", "identify", "logout", "pause", "press", "rollback", "update"];
    assert_eq!(actions(Role::Read), ["logout"]);
    assert_eq!(actions(Role::Operate), operate);
    assert_eq!(actions(Role::Admin), admin);
}

#[test]
fn an_approval_names_the_container_and_the_plan() {
    let view = views::waiting();
    let html = page::render(&Place::Overview, &view, &views::owner()).expect("a place").into_string();
    let tags = read(&html);
    let form = tags.iter().position(|t| t.get("action") == Some("/actions/approve")).expect("an approval");
    let fields: Vec<_> = inside(&tags, form)
        .filter(|t| t.name == "input")
        .map(|t| (t.get("name").unwrap_or_default(), t.get("value").unwrap_or_default()))
        .collect();
    let fingerprint = view.plan.fingerprint.as_str();
    assert_eq!(fields, [("container", "nextcloud-db"), ("fingerprint", fingerprint), ("return", "/")]);
}

#[test]
fn what_stops_a_service_asks_first() {
    for (what, tags) in documents() {
        for tag in tags.iter().filter(|t| t.name == "form") {
            let action = tag.get("action").unwrap_or_default();
            let asks = tag.get("data-ask").is_some_and(|a| a.ends_with('?'));
            assert_eq!(asks, matches!(action, "/actions/rollback" | "/actions/update"), "{what}: {action}");
        }
    }
}

#[test]
fn places_that_are_not_there() {
    let (view, ctx) = views::state("well");
    assert!(page::render(&Place::Container("nobody".to_owned()), &view, &ctx).is_none());
    assert!(page::render(&Place::Update("ffff".to_owned()), &view, &ctx).is_none());
    assert!(page::render(&Place::NotFound, &view, &ctx).is_some());
    assert_eq!(Place::Container("a b/ä?".to_owned()).address(), "/containers/a%20b%2F%C3%A4%3F");
}

#[test]
fn assets_have_types_tags_and_icons_carry_the_state() {
    for (path, kind) in [
        ("/assets/page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/favicon.svg?state=fault", "image/svg+xml"),
        ("/assets/favicon-well.svg", "image/svg+xml"),
    ] {
        let Asset { bytes, content_type, etag } = page::asset(path).expect(path);
        assert!(
            !bytes.is_empty() && etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'),
            "{path}"
        );
        assert_eq!(content_type, kind, "{path}");
    }
    assert!(page::asset("/assets/../mod.rs").is_none());
    assert!(page::asset("/assets/none.js").is_none());
    assert_ne!(page::favicon("well").bytes, page::favicon("fault").bytes);
    let icon = page::asset("/favicon.svg?state=%22%3E<script>").expect("the plain one");
    assert!(!String::from_utf8_lossy(&icon.bytes).contains("script"));
}

#[test]
fn everything_together_is_under_60_kilobytes() {
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).and_then(|()| out.finish()).expect("into memory").len()
    };
    let assets: usize = page::asset_names().filter_map(|n| page::asset(&n)).map(|a| gzip(&a.bytes)).sum();
    let (view, ctx) = views::state("many");
    let place = page::render(&Place::Containers, &view, &ctx).expect("a place").into_string();
    let heaviest = gzip(place.as_bytes());
    assert!(assets + heaviest < 60_000, "assets {assets} and 200 containers {heaviest}");
}

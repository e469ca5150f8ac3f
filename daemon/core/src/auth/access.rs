//! Which role a request needs, by method and path: one table for the page and the API.
//!
//! Owns the table. Must never let a path through that it does not know: what is not listed needs a login.

use super::Role;

/// What a request needs before it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A status word for probes: no login, no check of the Host header.
    Health,
    /// Nothing secret in it: assets and the OpenAPI document.
    Open,
    /// Taking ownership: only while unclaimed.
    Claim,
    /// Coming in: only once claimed, without a login.
    Login,
    /// Watchtower's own path, which brings its own token.
    UpdateApi,
    /// A session or token with at least this role.
    Needs(Role),
}

/// What `method` on `path` (without query) needs. Unknown paths need a login before they are told that there is nothing.
#[must_use]
pub fn access(method: &str, path: &str) -> Access {
    let looks = matches!(method, "GET" | "HEAD");
    match path {
        "/livez" | "/readyz" | "/healthz" => return Access::Health,
        "/favicon.svg" | "/favicon.ico" | "/manifest.webmanifest" | "/api/openapi.json" if looks => {
            return Access::Open;
        }
        "/claim" if looks => return Access::Claim,
        "/login" if looks => return Access::Login,
        "/v1/update" => return Access::UpdateApi,
        _ => {}
    }
    if looks && path.starts_with("/assets/") {
        return Access::Open;
    }
    if let Some(rest) = path.strip_prefix("/api/v1/") {
        return api(looks, rest);
    }
    if let Some(action) = path.strip_prefix("/actions/") {
        return change(action);
    }
    Access::Needs(if looks { Role::Read } else { Role::Admin })
}

fn api(looks: bool, rest: &str) -> Access {
    if looks {
        return match rest {
            "session" => Access::Login,
            "tokens" | "audit" => Access::Needs(Role::Admin),
            _ => Access::Needs(Role::Read),
        };
    }
    match rest {
        "panel/press" => change("press"),
        "panel/identify" => change("identify"),
        // The page's short names for the two are no paths of the API.
        "press" | "identify" => Access::Needs(Role::Admin),
        other => change(other),
    }
}

fn change(action: &str) -> Access {
    match action {
        "claim" => Access::Claim,
        "login" => Access::Login,
        "logout" => Access::Needs(Role::Read),
        "check" | "approve" | "update" | "rollback" | "pause" | "resume" | "identify" => {
            Access::Needs(Role::Operate)
        }
        _ => Access::Needs(Role::Admin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_needs_what_the_table_says() {
        let table = [
            ("GET", "/livez", Access::Health),
            ("GET", "/assets/app.js", Access::Open),
            ("POST", "/assets/app.js", Access::Needs(Role::Admin)),
            ("GET", "/api/openapi.json", Access::Open),
            ("GET", "/claim", Access::Claim),
            ("POST", "/api/v1/claim", Access::Claim),
            ("POST", "/actions/claim", Access::Claim),
            ("POST", "/actions/login", Access::Login),
            ("GET", "/api/v1/session", Access::Login),
            ("GET", "/api/v1/status", Access::Needs(Role::Read)),
            ("GET", "/api/v1/claim", Access::Needs(Role::Read)),
            ("GET", "/api/v1/tokens", Access::Needs(Role::Admin)),
            ("GET", "/api/v1/audit", Access::Needs(Role::Admin)),
            ("DELETE", "/api/v1/tokens/ab", Access::Needs(Role::Admin)),
            ("POST", "/api/v1/update", Access::Needs(Role::Operate)),
            ("POST", "/api/v1/panel/press", Access::Needs(Role::Admin)),
            ("POST", "/api/v1/panel/identify", Access::Needs(Role::Operate)),
            ("POST", "/actions/press", Access::Needs(Role::Admin)),
            ("GET", "/", Access::Needs(Role::Read)),
            ("GET", "/assets", Access::Needs(Role::Read)),
            ("PUT", "/whatever", Access::Needs(Role::Admin)),
            ("GET", "//livez", Access::Needs(Role::Read)),
            ("GET", "/v1/update", Access::UpdateApi),
        ];
        for (method, path, wanted) in table {
            assert_eq!(access(method, path), wanted, "{method} {path}");
        }
    }
}

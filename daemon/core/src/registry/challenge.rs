//! The `WWW-Authenticate` header.
//!
//! Owns its parsing, tolerant of what registries send. Must never answer a challenge.

/// How a registry wants to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from `realm` first.
    Bearer {
        /// Where tokens are given out; a URL.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
        /// What to ask for, `repository:library/redis:pull`.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the header (or several joined by commas); a token beats a password where both are offered. `None` when
    /// there is nothing that we can answer.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut basic = false;
        let mut rest = header.trim();
        let mut bearer: Option<(Option<String>, Option<String>, Option<String>)> = None;
        let mut in_bearer = false;
        while !rest.is_empty() {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() {
                // A stray `=`: nothing sensible follows.
                break;
            }
            let Some(value) = after.trim_start().strip_prefix('=') else {
                in_bearer = word.eq_ignore_ascii_case("bearer");
                if in_bearer {
                    bearer.get_or_insert_default();
                }
                basic |= word.eq_ignore_ascii_case("basic");
                rest = after;
                continue;
            };
            let (value, after) = take_value(value.trim_start());
            if let (true, Some((realm, service, scope))) = (in_bearer, bearer.as_mut()) {
                match word.to_ascii_lowercase().as_str() {
                    "realm" => *realm = Some(value),
                    "service" => *service = Some(value),
                    "scope" => *scope = Some(value),
                    _ => {}
                }
            }
            rest = after;
        }
        match bearer {
            Some((Some(realm), service, scope)) => Some(Self::Bearer { realm, service, scope }),
            _ => basic.then_some(Self::Basic),
        }
    }
}

/// A quoted or bare value, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn challenges_as_registries_send_them() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        for (header, read) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/redis:pull""#,
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/redis:pull"),
                ),
            ),
            (
                r#"bearer  REALM="https://A/T" , Scope="repository:a/B:pull,push""#,
                bearer("https://A/T", None, Some("repository:a/B:pull,push")),
            ),
            ("Bearer realm=https://a/t,service=x y", bearer("https://a/t", Some("x"), None)),
            (r#"Bearer realm="a \"b\" c""#, bearer(r#"a "b" c"#, None, None)),
            (r#"Basic realm="x", Bearer realm="https://a/t""#, bearer("https://a/t", None, None)),
            (r#"Basic realm="Registry, of ours""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (r#"Bearer service="x""#, None),
            ("Negotiate", None),
            ("", None),
            ("=,=", None),
            (r#"Bearer realm="unclosed"#, bearer("unclosed", None, None)),
        ] {
            assert_eq!(Challenge::parse(header), read, "{header}");
        }
    }
}

//! Versions as people say them.
//!
//! Owns the choice of words: the OCI version label, else the tag, else the short digest. Must never compare versions.

use super::candidate::Target;
use super::journal::Version;
use crate::model::{Digest, Image, ImageRef};

/// The OCI label that names a version.
pub const LABEL: &str = "org.opencontainers.image.version";

/// The version of an image on this machine, as it is reached by this reference.
#[must_use]
pub fn of_image(image: Option<&Image>, reference: Option<&ImageRef>) -> Version {
    let digest = image.and_then(|i| own_digest(i, reference)).unwrap_or_default();
    let label = image.and_then(|i| i.labels.get(LABEL));
    let built = image.and_then(|i| i.created).map(|t| t.to_rfc3339()).unwrap_or_default();
    let fallback = image.map(|i| i.id.short().to_owned()).unwrap_or_default();
    Version { name: name(label, reference, &digest, &fallback), digest, built }
}

/// The version that a registry offers.
#[must_use]
pub fn of_remote(
    label: Option<&str>,
    built: Option<&str>,
    reference: Option<&ImageRef>,
    target: &Target,
) -> Version {
    let digest = match target {
        Target::Registry(digest) => digest.as_str().to_owned(),
        Target::Local(_) => String::new(),
    };
    let fallback = target.key().split_once(':').map_or(target.key(), |(_, hex)| hex);
    let fallback = fallback.get(..12).unwrap_or(fallback);
    Version {
        name: name(label, reference, &digest, fallback),
        digest,
        built: built.unwrap_or_default().to_owned(),
    }
}

/// Makes two versions of the same name distinguishable by their digests.
#[must_use]
pub fn told_apart(mut from: Version, mut to: Version) -> (Version, Version) {
    if from.name == to.name {
        for version in [&mut from, &mut to] {
            if let Some(digest) =
                Digest::new(version.digest.clone()).ok().filter(|d| !version.name.contains(d.short()))
            {
                version.name = format!("{} ({})", version.name, digest.short());
            }
        }
    }
    (from, to)
}

fn name(label: Option<&str>, reference: Option<&ImageRef>, digest: &str, fallback: &str) -> String {
    let tag = reference.map(|r| r.tag.as_str()).filter(|t| *t != "latest");
    let short = Digest::new(digest).ok().map(|d| d.short().to_owned());
    label
        .filter(|l| !l.trim().is_empty())
        .or(tag)
        .map(str::to_owned)
        .or(short)
        .unwrap_or_else(|| fallback.to_owned())
}

/// The digest under which the image is known in this reference's repository. Where the image's id is a digest itself
/// (containerd's store), it is the one in every repository.
fn own_digest(image: &Image, reference: Option<&ImageRef>) -> Option<String> {
    let digest = |entry: &String| entry.split_once('@').map(|(_, digest)| digest.to_owned());
    let own = |entry: &&String| {
        let name = entry.split_once('@').map(|(name, _)| name).unwrap_or_default();
        reference.is_none_or(|r| ImageRef::parse(name).is_ok_and(|n| n.name() == r.name()))
    };
    let is_id = |entry: &String| entry.split_once('@').is_some_and(|(_, digest)| digest == image.id.as_str());
    let by_id = || image.digests.iter().any(is_id).then(|| image.id.to_string());
    image.digests.iter().find(own).and_then(digest).or_else(by_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_back_from_label_to_tag_to_digest() {
        let reference = |t: &str| ImageRef::parse(t).ok();
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(name(Some("16.1"), reference("x:1").as_ref(), &digest, "f"), "16.1");
        assert_eq!(name(None, reference("x:1").as_ref(), &digest, "f"), "1");
        assert_eq!(name(None, reference("x").as_ref(), &digest, "f"), "abababababab");
        assert_eq!(name(Some(" "), None, "", "f"), "f");
    }

    #[test]
    fn an_image_that_repositories_share_has_its_digest_in_each() {
        let id = format!("sha256:{}", "ab".repeat(32));
        let image = |listed: &str| {
            serde_json::from_value::<Image>(serde_json::json!({
                "id": id, "tags": [], "digests": [format!("localhost:5000/web@{listed}")], "size": 1, "created": null,
                "labels": {}
            }))
        };
        let api = ImageRef::parse("localhost:5000/api:1").ok();
        let digest = |listed| image(listed).ok().map(|i| of_image(Some(&i), api.as_ref()).digest);
        assert_eq!(digest(id.as_str()), Some(id.clone()));
        // With a graph driver the id says nothing of any repository.
        assert_eq!(digest("sha256:cdcd"), Some(String::new()));
    }

    #[test]
    fn the_same_name_twice_is_told_apart() {
        let version = |d: &str| Version {
            name: "1".to_owned(),
            digest: format!("sha256:{}", d.repeat(32)),
            ..Version::default()
        };
        let (from, to) = told_apart(version("ab"), version("cd"));
        assert_eq!((from.name.as_str(), to.name.as_str()), ("1 (abababababab)", "1 (cdcdcdcdcdcd)"));
    }
}

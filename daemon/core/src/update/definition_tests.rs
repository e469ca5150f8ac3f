//! Golden tests on descriptions that engines 20.10 and 26.1 really gave, and tables for the rules one by one.
//!
//! Each document holds one container a way of asking for it, all made from one image that sets everything an image can.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Definition, DefinitionError, Surroundings, definition, set_compose_image};
use crate::model::ImageId;

const OLD_API: (u32, u32) = (1, 41);
const NEW_API: (u32, u32) = (1, 45);

/// Both engines' documents with the API that each speaks.
fn engines() -> [(Value, (u32, u32)); 2] {
    let read = |text: &str| serde_json::from_str(text).unwrap();
    [
        (read(include_str!("../../../../tests/fixtures/inspect/engine20.json")), OLD_API),
        (read(include_str!("../../../../tests/fixtures/inspect/engine26.json")), NEW_API),
    ]
}

fn of(document: &Value, case: &str, api: (u32, u32)) -> Definition {
    definition(&document[case], &document["image"]["Config"], Surroundings { api, host_name: "vm" }).unwrap()
}

/// The fields that say something: neither null nor empty nor the engine's false and zero.
fn said(value: &Value) -> BTreeMap<String, Value> {
    let silent = [json!(null), json!(""), json!(false), json!(0), json!([]), json!({})];
    let fields = value.as_object().unwrap().iter();
    fields.filter(|(_, v)| !silent.contains(v)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// What the body says apart from `HostConfig` and `NetworkingConfig`.
fn config(definition: &Definition) -> Value {
    let mut said = said(&definition.body);
    said.remove("HostConfig");
    said.remove("NetworkingConfig");
    json!(said)
}

fn endpoints(definition: &Definition) -> &Value {
    &definition.body["NetworkingConfig"]["EndpointsConfig"]
}

fn volume_at(inspect: &Value, target: &str) -> String {
    let mounts = inspect["Mounts"].as_array().unwrap();
    mounts.iter().find(|m| m["Destination"] == target).unwrap()["Name"].as_str().unwrap().to_owned()
}

/// A description with nothing but what the test is about, on the default network.
#[allow(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn bare(config: Value, host: Value) -> Value {
    let mut inspect = json!({"Id": "0123456789abcdef", "Config": config, "HostConfig": {"NetworkMode": "default"}, "Mounts": []});
    for (key, value) in host.as_object().unwrap() {
        inspect["HostConfig"][key] = value.clone();
    }
    inspect
}

fn around(api: (u32, u32)) -> Surroundings<'static> {
    Surroundings { api, host_name: "pi" }
}

#[test]
fn nothing_of_the_image_is_pinned_where_the_owner_set_nothing() {
    for (document, api) in engines() {
        let made = of(&document, "plain", api);
        assert_eq!(config(&made), json!({"Image": "golden-image:1"}), "{api:?}");
        let volume = volume_at(&document["plain"], "/declared");
        assert_eq!(made.body["HostConfig"]["Binds"], json!([format!("{volume}:/declared")]));
        assert_eq!(endpoints(&made), &json!({"bridge": {}}));
        assert!(made.connect.is_empty());
    }
}

#[test]
fn what_the_owner_set_is_kept_and_what_the_image_set_beside_it_is_not() {
    for (document, api) in engines() {
        let rich = &document["rich"];
        let made = of(&document, "rich", api);
        let mut expected = json!({
            "Image": "golden-image:1", "Hostname": "chosen", "Env": ["B=owner", "C=owner"],
            "Labels": {"both": "owner", "own": "1", "com.docker.compose.project": "shop",
                       "com.docker.compose.image": document["image"]["Id"]},
            "Volumes": {"/owners": {}}, "ExposedPorts": {"81/tcp": {}}, "StopSignal": "SIGTERM",
            "Healthcheck": {"Retries": 7},
        });
        if api == OLD_API {
            expected["MacAddress"] = json!("02:aa:00:00:00:01");
        }
        assert_eq!(config(&made), expected, "{api:?}");

        let host = &made.body["HostConfig"];
        let named = |target: &str| format!("{}:{target}", volume_at(rich, target));
        let mut binds: Vec<&str> =
            host["Binds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        binds.sort_unstable();
        let mut wanted =
            ["golden-data:/data:ro".to_owned(), named("/alone"), named("/owners"), named("/declared")];
        wanted.sort();
        assert_eq!(binds, wanted);
        let anonymous = volume_at(rich, "/anonymous");
        assert_eq!(
            host["Mounts"],
            json!([{"Type": "volume", "Source": anonymous, "Target": "/anonymous"},
                   {"Type": "volume", "Source": "golden-named", "Target": "/named"}])
        );
        for key in ["RestartPolicy", "Tmpfs", "MaskedPaths", "LogConfig", "NetworkMode"] {
            assert_eq!(host[key], rich["HostConfig"][key], "{key}");
        }
    }
}

#[test]
fn networks_go_with_the_create_request_where_the_engine_takes_several() {
    let [(old, _), (new, _)] = engines();
    let front = json!({"Aliases": ["web"], "IPAMConfig": {"IPv4Address": "10.255.71.9"}});
    let back = json!({"Aliases": ["store"]});
    let made = of(&old, "rich", OLD_API);
    // That engine makes an alias of the owner's host name, and shows it among the others.
    let with_host_name = |own: &str| json!([own, "chosen"]);
    assert_eq!(endpoints(&made)["golden-front"]["Aliases"], with_host_name("web"));
    assert_eq!(endpoints(&made)["golden-front"]["IPAMConfig"], front["IPAMConfig"]);
    assert_eq!(endpoints(&made)["golden-back"], Value::Null);
    let connected: Vec<_> = made.connect.iter().map(|(name, e)| (name.as_str(), &e["Aliases"])).collect();
    assert_eq!(connected, [("golden-back", &with_host_name("store"))]);

    let made = of(&new, "rich", NEW_API);
    assert!(made.connect.is_empty());
    let mut front = front;
    front["MacAddress"] = json!("02:aa:00:00:00:01");
    assert_eq!(endpoints(&made)["golden-front"], front);
    assert_eq!(endpoints(&made)["golden-back"]["Aliases"], back["Aliases"]);
    // The engine made that address from the IP address; the successor may get another one.
    assert_eq!(endpoints(&made)["golden-back"]["MacAddress"], Value::Null);
}

#[test]
fn entrypoint_and_command_go_together() {
    for (document, api) in engines() {
        for (case, entrypoint, command) in [
            ("plain", json!(null), json!(null)),
            ("reset", json!([""]), json!(["/bin/sleep", "1000"])),
            ("own", json!(["/bin/sleep"]), json!(["1000"])),
            // The owner wrote the image's own entrypoint: it cannot be told apart, and its command is kept.
            ("pinned", json!(null), json!(["sleep 999"])),
        ] {
            let made = of(&document, case, api);
            assert_eq!(
                (&made.body["Entrypoint"], &made.body["Cmd"]),
                (&entrypoint, &command),
                "{case} {api:?}"
            );
        }
    }
    let image = json!({"Entrypoint": ["/run"], "Cmd": ["serve"]});
    for (own, image, entrypoint, command) in [
        // An owner's entrypoint pins the command verbatim, also where it equals the image's, and where there is none.
        (json!({"Entrypoint": ["/other"], "Cmd": ["serve"]}), &image, json!(["/other"]), json!(["serve"])),
        (json!({"Entrypoint": ["/other"], "Cmd": null}), &image, json!(["/other"]), json!(null)),
        // No command at all under the image's entrypoint: only possible when the owner wrote the entrypoint.
        (json!({"Entrypoint": ["/run"], "Cmd": null}), &image, json!(["/run"]), json!(null)),
        (json!({"Entrypoint": ["/run"], "Cmd": ["other"]}), &image, json!(null), json!(["other"])),
        (json!({"Entrypoint": null, "Cmd": ["x"]}), &json!({"Cmd": ["x"]}), json!(null), json!(null)),
        (json!({"Entrypoint": null, "Cmd": ["y"]}), &json!({"Cmd": ["x"]}), json!(null), json!(["y"])),
        (json!({"Entrypoint": [], "Cmd": ["y"]}), &image, json!([""]), json!(["y"])),
    ] {
        let made = definition(&bare(own.clone(), json!({})), image, around(NEW_API)).unwrap();
        assert_eq!((&made.body["Entrypoint"], &made.body["Cmd"]), (&entrypoint, &command), "{own}");
    }
}

#[test]
fn a_health_check_is_the_owners_field_by_field() {
    let of_image = json!({"Test": ["CMD", "a"], "Interval": 5, "Timeout": 2, "Retries": 3});
    for (own, image, expected) in [
        (of_image.clone(), &of_image, json!(null)),
        (
            json!({"Test": ["CMD", "a"], "Interval": 9, "Timeout": 2, "Retries": 3}),
            &of_image,
            json!({"Interval": 9}),
        ),
        (
            json!({"Test": ["CMD", "b"], "Interval": 5, "Timeout": 2, "Retries": 3}),
            &of_image,
            json!({"Test": ["CMD", "b"]}),
        ),
        (json!({"Test": ["NONE"], "Interval": 5}), &of_image, json!({"Test": ["NONE"]})),
        (of_image.clone(), &json!(null), of_image.clone()),
    ] {
        let inspect = bare(json!({"Healthcheck": own}), json!({}));
        let made = definition(&inspect, &json!({"Healthcheck": image}), around(NEW_API)).unwrap();
        assert_eq!(made.body["Healthcheck"], expected);
    }
    for (document, api) in engines() {
        assert_eq!(of(&document, "own", api).body["Healthcheck"], json!({"Test": ["NONE"]}));
    }
}

#[test]
fn what_the_engine_filled_in_is_dropped() {
    for (document, api) in engines() {
        for case in ["plain", "linked", "host", "joined", "borrower"] {
            let made = of(&document, case, api);
            assert_eq!(made.body["Hostname"], Value::Null, "{case} {api:?}");
            assert_eq!(made.body["MacAddress"], Value::Null, "{case} {api:?}");
        }
        // Refused by the engine under somebody else's network.
        let joined = of(&document, "joined", api);
        for key in ["Domainname", "ExposedPorts"] {
            assert_eq!(joined.body[key], Value::Null, "{key}");
        }
        for case in ["host", "joined"] {
            assert_eq!(endpoints(&of(&document, case, api)), &json!({}), "{case}");
        }
        let host = of(&document, "host", api);
        assert_eq!(host.body["HostConfig"]["NetworkMode"], "host");
    }
    // The owner's own name stays, also under the host's network; the UTS namespace of the host forbids any.
    for (host, hostname) in [
        (json!({"NetworkMode": "host"}), json!("own")),
        (json!({"UTSMode": "host"}), json!(null)),
        (json!({}), json!("own")),
    ] {
        let inspect = bare(json!({"Hostname": "own", "Domainname": ""}), host.clone());
        let made = definition(&inspect, &json!({}), around(NEW_API)).unwrap();
        assert_eq!(made.body["Hostname"], hostname, "{host}");
    }
}

#[test]
fn the_owners_aliases_stay_without_the_short_id() {
    let mut inspect = bare(json!({}), json!({"NetworkMode": "net"}));
    inspect["NetworkSettings"] = json!({"Networks": {"net": {"Aliases": ["web", "0123456789ab"],
        "DNSNames": ["web", "0123456789ab"], "IPAddress": "172.18.0.2", "MacAddress": "02:42:ac:12:00:02",
        "EndpointID": "e", "NetworkID": "n", "Gateway": "172.18.0.1", "IPPrefixLen": 16, "Links": ["db:data"],
        "DriverOpts": {"a": "b"}}}});
    for api in [OLD_API, NEW_API] {
        let made = definition(&inspect, &json!({}), around(api)).unwrap();
        let expected = json!({"net": {"Aliases": ["web"], "Links": ["db:data"], "DriverOpts": {"a": "b"}}});
        assert_eq!(endpoints(&made), &expected);
    }
}

#[test]
fn a_mac_address_is_carried_over_only_where_the_owner_gave_it() {
    for (api, in_config, shown, body, endpoint) in [
        (OLD_API, "", "02:42:ac:12:00:02", None, None),
        (OLD_API, "02:aa:00:00:00:01", "02:aa:00:00:00:01", Some("02:aa:00:00:00:01"), None),
        (NEW_API, "", "02:42:ac:12:00:02", None, None),
        (NEW_API, "", "02:aa:00:00:00:01", None, Some("02:aa:00:00:00:01")),
        // Given as the deprecated field: the endpoint is where it belongs.
        (NEW_API, "02:aa:00:00:00:01", "02:aa:00:00:00:01", None, Some("02:aa:00:00:00:01")),
    ] {
        let mut inspect = bare(json!({"MacAddress": in_config}), json!({"NetworkMode": "net"}));
        inspect["NetworkSettings"] =
            json!({"Networks": {"net": {"IPAddress": "172.18.0.2", "MacAddress": shown}}});
        let made = definition(&inspect, &json!({}), around(api)).unwrap();
        assert_eq!(made.body["MacAddress"].as_str(), body, "{api:?} {in_config} {shown}");
        assert_eq!(endpoints(&made)["net"]["MacAddress"].as_str(), endpoint, "{api:?} {in_config} {shown}");
    }
}

#[test]
fn volumes_without_a_name_are_carried_over_by_the_name_that_the_engine_gave() {
    let volume = |name: &str, target: &str, writable: bool| json!({"Type": "volume", "Name": name, "Destination": target, "RW": writable});
    for (config, host, mounts, binds, declared) in [
        // Declared by the owner, with a slash too many; and by nobody any more.
        (
            json!({"Volumes": {"/a/": {}}}),
            json!({}),
            vec![volume("v", "/a", true)],
            json!(["v:/a"]),
            json!({"/a/": {}}),
        ),
        (json!({}), json!({"Binds": null}), vec![volume("v", "/a", false)], json!(["v:/a:ro"]), json!(null)),
        // Covered by something that has a name.
        (json!({}), json!({"Binds": ["n:/a"]}), vec![volume("n", "/a", true)], json!(["n:/a"]), json!(null)),
        (
            json!({}),
            json!({"Binds": ["/host:/a:ro"]}),
            vec![volume("v", "/a/", true)],
            json!(["/host:/a:ro"]),
            json!(null),
        ),
        (json!({}), json!({"Tmpfs": {"/a": ""}}), vec![volume("v", "/a", true)], json!(null), json!(null)),
        // A bind that is a path alone must not appear twice.
        (json!({}), json!({"Binds": ["/a"]}), vec![volume("v", "/a", true)], json!(["v:/a"]), json!(null)),
        // A bind of the host is none of ours.
        (
            json!({}),
            json!({}),
            vec![json!({"Type": "bind", "Source": "/x", "Destination": "/a"})],
            json!(null),
            json!(null),
        ),
    ] {
        let mut inspect = bare(config, host.clone());
        inspect["Mounts"] = json!(mounts);
        let made = definition(&inspect, &json!({}), around(NEW_API)).unwrap();
        assert_eq!(made.body["HostConfig"]["Binds"], binds, "{host} {mounts:?}");
        assert_eq!(made.body["Volumes"], declared, "{host} {mounts:?}");
    }
}

#[test]
fn borrowed_volumes_come_from_the_donor_again() {
    for (document, api) in engines() {
        let borrower = &document["borrower"];
        let host = &of(&document, "borrower", api).body["HostConfig"];
        assert_eq!(host["VolumesFrom"], json!(["golden-rich:ro"]));
        let binds = host["Binds"].to_string();
        assert!(binds.contains(&format!("{}:/mine", volume_at(borrower, "/mine"))), "{binds}");
        for donated in ["/data", "/alone", "/anonymous", "/named", "/owners"] {
            assert!(!binds.contains(&format!(":{donated}")), "{donated} in {binds}");
        }
    }
}

#[test]
fn links_are_written_as_they_were_asked_for() {
    for (document, api) in engines() {
        let host = &of(&document, "linked", api).body["HostConfig"];
        assert_eq!(host["Links"], json!(["golden-plain:db", "golden-plain:other"]));
    }
}

#[test]
fn unknown_fields_travel_along() {
    let mut inspect = bare(json!({"FieldOfTomorrow": {"a": 1}}), json!({"AnotherOne": [1, 2]}));
    inspect["HostConfig"]["ContainerIDFile"] = json!("/run/id");
    let made = definition(&inspect, &json!({}), around(NEW_API)).unwrap();
    assert_eq!(made.body["FieldOfTomorrow"], json!({"a": 1}));
    assert_eq!(made.body["HostConfig"]["AnotherOne"], json!([1, 2]));
    // The client wrote that file; it would be in the way.
    assert_eq!(made.body["HostConfig"]["ContainerIDFile"], Value::Null);
}

#[test]
fn compose_finds_the_id_of_the_image_that_is_used() {
    let id = ImageId::new(format!("sha256:{}", "ab".repeat(32))).unwrap();
    let mut body = json!({"Labels": {"com.docker.compose.image": "sha256:old", "a": "b"}});
    set_compose_image(&mut body, &id);
    assert_eq!(body["Labels"], json!({"com.docker.compose.image": id.as_str(), "a": "b"}));
    for mut foreign in [json!({"Labels": {"a": "b"}}), json!({"Labels": null}), json!({})] {
        let before = foreign.clone();
        set_compose_image(&mut foreign, &id);
        assert_eq!(foreign, before, "Compose did not make it");
    }
    // An image that carries the label itself must not take it away from the container.
    let image = json!({"Labels": {"com.docker.compose.image": "sha256:old"}});
    let inspect = bare(json!({"Labels": {"com.docker.compose.image": "sha256:old"}}), json!({}));
    let made = definition(&inspect, &image, around(NEW_API)).unwrap();
    assert_eq!(made.body["Labels"], image["Labels"]);
}

#[test]
fn a_definition_made_from_its_own_result_is_the_same() {
    for (document, api) in engines() {
        for case in ["plain", "rich", "linked", "reset", "own", "pinned", "borrower", "host", "joined"] {
            let once = of(&document, case, api);
            // What the engine would show of it: the volumes now have names, the image's values are filled in again.
            let mut again = document[case].clone();
            again["HostConfig"]["Binds"] = once.body["HostConfig"]["Binds"].clone();
            again["HostConfig"]["Mounts"] = once.body["HostConfig"]["Mounts"].clone();
            let twice =
                definition(&again, &document["image"]["Config"], Surroundings { api, host_name: "vm" })
                    .unwrap();
            let (mut a, mut b) = (once.body, twice.body);
            for body in [&mut a, &mut b] {
                body["HostConfig"] = json!(said(&body["HostConfig"]));
            }
            assert_eq!(a, b, "{case} {api:?}");
        }
    }
}

#[test]
fn what_is_no_description_is_refused() {
    for (inspect, missing) in
        [(json!({}), "Id"), (json!({"Id": "x"}), "Config"), (json!({"Id": "x", "Config": {}}), "HostConfig")]
    {
        let refused = definition(&inspect, &json!({}), around(NEW_API));
        assert_eq!(refused, Err(DefinitionError::Missing(missing)));
    }
}

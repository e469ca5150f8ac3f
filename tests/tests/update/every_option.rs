//! A container with (nearly) every option of the create request is updated and is the same afterwards.
//!
//! Owns the request and the comparison, field by field. Must never excuse a difference by leaving its field out.

use anyhow::Result;
use dockbeacon_tests::engine::{TestEngine, on_each};
use dockbeacon_tests::image::ImageSpec;
use dockbeacon_tests::sandbox::free_port;
use serde_json::{Value, json};

use crate::bed::{Bed, answer, labels};

/// Seconds in the engine's unit.
const SECOND: u64 = 1_000_000_000;

/// The image in this version: everything that an image can set, with the version in it.
fn image(version: &str) -> Result<ImageSpec> {
    let mut image = ImageSpec::demo(version)?
        .env("FROM_IMAGE", version)
        .env("SHARED", "image")
        .with("Cmd", json!(["image", version]))
        .with("User", json!("0:0"))
        .with("WorkingDir", json!("/"))
        .with("StopSignal", json!("SIGINT"))
        .with("Volumes", json!({"/declared": {}}))
        .with("ExposedPorts", json!({"8080/tcp": {}, "9000/tcp": {}}));
    image.set(
        "Labels",
        json!({"org.opencontainers.image.version": version, "image.label": version, "both": "image"}),
    );
    Ok(image)
}

/// A network with a subnet of its own, so that addresses can be chosen; gives the first three bytes.
async fn network(bed: &Bed, part: &str) -> Result<String> {
    let mut refused = None;
    for second in 0..200_u32 {
        let (a, b) = (64 + (std::process::id() + second * 7) % 128, (second * 31 + std::process::id()) % 256);
        let subnet = format!("10.{a}.{b}");
        let body = json!({"Name": bed.name(part), "Driver": "bridge",
                          "IPAM": {"Config": [{"Subnet": format!("{subnet}.0/24"), "Gateway": format!("{subnet}.1")}]}});
        match bed.raw().post("/networks/create", &body).await {
            Ok(_) => return Ok(subnet),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| anyhow::anyhow!("no subnet was tried")))
}

fn limits() -> Value {
    json!({
        "Memory": 268_435_456_u64, "MemoryReservation": 134_217_728_u64, "MemorySwap": 402_653_184_u64,
        "MemorySwappiness": 40, "NanoCpus": 500_000_000_u64, "CpuShares": 512, "CpusetCpus": "0", "CpusetMems": "0",
        "PidsLimit": 128, "BlkioWeight": 300, "OomKillDisable": false, "OomScoreAdj": 250, "ShmSize": 33_554_432,
        "BlkioDeviceReadBps": [], "CpuRealtimePeriod": 0,
        "Ulimits": [{"Name": "nofile", "Soft": 2048, "Hard": 4096}, {"Name": "core", "Soft": 0, "Hard": 0}]
    })
}

struct Nets {
    front: String,
    back: String,
}

fn request(engine: &TestEngine, bed: &Bed, port: u16, nets: &Nets) -> Value {
    let mut host = json!({
        "Binds": [format!("{}:/named", bed.name("data")), format!("{}:/bound:ro", bed.place.path().display()), "/alone"],
        "Mounts": [
            {"Type": "volume", "Target": "/anonymous"},
            {"Type": "volume", "Source": bed.name("mounted"), "Target": "/mounted",
             "VolumeOptions": {"NoCopy": true, "Labels": {"kept": "yes"}}},
            {"Type": "bind", "Source": "/usr/share", "Target": "/share", "ReadOnly": true,
             "BindOptions": {"Propagation": "rprivate"}},
            {"Type": "tmpfs", "Target": "/scratch", "TmpfsOptions": {"SizeBytes": 65536, "Mode": 448}},
        ],
        "Tmpfs": {"/tmp": "rw,noexec,size=65536k"},
        "NetworkMode": bed.name("front"),
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4},
        "CapAdd": ["NET_ADMIN", "SYS_PTRACE"], "CapDrop": ["MKNOD", "AUDIT_WRITE"],
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rw"}],
        "DeviceCgroupRules": ["c 1:5 r"],
        "ExtraHosts": ["somebody:10.9.8.7", "host.docker.internal:host-gateway"],
        "Dns": ["127.0.0.53"], "DnsSearch": ["example.test"], "DnsOptions": ["ndots:2"],
        "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2", "labels": "both"}},
        "Init": true, "ReadonlyRootfs": true, "GroupAdd": ["4", "27"], "IpcMode": "shareable", "PidMode": "",
        "UTSMode": "", "CgroupnsMode": "host", "CgroupParent": "/dockbeacon-test", "Runtime": "runc",
        "Privileged": false, "PublishAllPorts": false, "MaskedPaths": ["/proc/kcore", "/proc/keys"],
        "ReadonlyPaths": ["/proc/sys"], "UsernsMode": "", "Isolation": "", "ConsoleSize": [24, 80],
        "StorageOpt": null, "VolumeDriver": "local",
    });
    for (key, value) in limits().as_object().unwrap() {
        host[key] = value.clone();
    }
    let endpoint = json!({"Aliases": ["web", "www"], "IPAMConfig": {"IPv4Address": format!("{}.77", nets.front)},
                          "DriverOpts": {"com.example.option": "1"}});
    let mut endpoints = json!({bed.name("front"): endpoint});
    let mut body = json!({
        "Hostname": "chosen", "Domainname": "example.test", "User": "0:4", "WorkingDir": "/named",
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": true, "OpenStdin": true, "StdinOnce": true,
        "Env": ["OWN=1", "SHARED=owner", "DATA=/anonymous/log", "EMPTY=", "WITH=a=b c"],
        "Cmd": ["owner", "words"], "Entrypoint": ["/demo"],
        "Labels": labels(&bed.place, &[("own.label", "a b"), ("both", "owner"), ("empty", "")]),
        "ExposedPorts": {"8080/tcp": {}, "7777/udp": {}},
        "StopSignal": "SIGTERM", "StopTimeout": 7,
        "Healthcheck": {"Interval": SECOND, "Timeout": 3 * SECOND, "StartPeriod": 20 * SECOND, "Retries": 9},
        "Volumes": {"/owners": {}},
    });
    if engine.api == "1.41" {
        host["KernelMemory"] = json!(209_715_200_u64);
        body["MacAddress"] = json!("02:aa:bb:cc:dd:01");
    } else {
        host["Annotations"] = json!({"com.example.note": "kept"});
        host["CapAdd"] = json!(["CAP_NET_ADMIN", "CAP_SYS_PTRACE"]);
        endpoints[bed.name("front")]["MacAddress"] = json!("02:aa:bb:cc:dd:01");
        endpoints[bed.name("back")] = back(nets);
        body["Healthcheck"]["StartInterval"] = json!(SECOND / 2);
    }
    body["HostConfig"] = host;
    body["NetworkingConfig"] = json!({"EndpointsConfig": endpoints});
    body
}

fn back(nets: &Nets) -> Value {
    json!({"Aliases": ["store"], "IPAMConfig": {"IPv4Address": format!("{}.88", nets.back)}})
}

/// All that must be the same: the description without ids, times, process numbers and what an image decides.
fn owners_part(container: &Value) -> Value {
    let id = container["Id"].as_str().unwrap();
    let mut part = json!({});
    for key in [
        "Name",
        "Path",
        "Args",
        "Config",
        "HostConfig",
        "Mounts",
        "Driver",
        "Platform",
        "MountLabel",
        "ProcessLabel",
        "AppArmorProfile",
        "RestartCount",
    ] {
        part[key] = container[key].clone();
    }
    let env = part["Config"]["Env"].as_array_mut().unwrap();
    env.retain(|e| !["VERSION=", "FROM_IMAGE="].iter().any(|p| e.as_str().unwrap().starts_with(p)));
    env.sort_by_key(ToString::to_string);
    for label in ["org.opencontainers.image.version", "image.label"] {
        part["Config"]["Labels"].as_object_mut().unwrap().remove(label);
    }
    // Order means nothing in these.
    for list in ["/Mounts", "/HostConfig/Binds", "/HostConfig/Mounts"] {
        if let Some(list) = part.pointer_mut(list).and_then(Value::as_array_mut) {
            list.sort_by_key(ToString::to_string);
        }
    }
    part["Ports"] = container["NetworkSettings"]["Ports"].clone();
    let mut networks = container["NetworkSettings"]["Networks"].clone();
    for network in networks.as_object_mut().unwrap().values_mut() {
        let fields = network.as_object_mut().unwrap();
        fields.remove("EndpointID");
        for key in ["Aliases", "DNSNames"] {
            if let Some(names) = fields.get_mut(key).and_then(Value::as_array_mut) {
                names.retain(|name| name != &id[..12]);
                names.sort_by_key(ToString::to_string);
            }
        }
        // Not given by the owner there: derived from the address or drawn by lot.
        if fields["IPAMConfig"]["IPv4Address"].as_str().is_some_and(|a| a.ends_with(".88")) {
            fields.remove("MacAddress");
        }
    }
    part["Networks"] = networks;
    part
}

/// Anonymous volumes have a name in the definition afterwards; that is how they are carried over.
fn name_anonymous(before: &mut Value) {
    let mounts = before["Mounts"].as_array().unwrap().clone();
    for mount in &mounts {
        let (name, target) = (mount["Name"].clone(), mount["Destination"].as_str().unwrap_or_default());
        match target {
            "/anonymous" => {
                let list = before["HostConfig"]["Mounts"].as_array_mut().unwrap();
                list.iter_mut().find(|m| m["Target"] == target).unwrap()["Source"] = name;
            }
            "/alone" => {
                let list = before["HostConfig"]["Binds"].as_array_mut().unwrap();
                *list.iter_mut().find(|b| **b == target).unwrap() =
                    json!(format!("{}:{target}", name.as_str().unwrap()));
            }
            "/declared" | "/owners" => {
                let list = before["HostConfig"]["Binds"].as_array_mut().unwrap();
                list.push(json!(format!("{}:{target}", name.as_str().unwrap())));
            }
            _ => {}
        }
    }
    // How a mount is asked for also shows in the list of what is mounted.
    for mount in before["Mounts"].as_array_mut().unwrap() {
        if ["/declared", "/owners"].iter().any(|t| mount["Destination"] == *t) {
            mount["Mode"] = json!("z");
        }
    }
    for list in ["/HostConfig/Binds", "/HostConfig/Mounts", "/Mounts"] {
        before.pointer_mut(list).unwrap().as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
}

/// Every path at which two documents differ.
fn differences(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differences(a, b, &format!("{path}/{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}/{n}"), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: {a} became {b}")),
    }
}

async fn put_mark(bed: &Bed, folder: &str, text: &str) -> Result<()> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    tar.append_data(&mut header, "mark", text.as_bytes())?;
    let path = format!("/containers/{}/archive?path={folder}", bed.name("web"));
    let answer = bed.raw().send("PUT", &path, "application/x-tar", tar.into_inner()?).await?;
    anyhow::ensure!(answer.status == 200, "{folder}: {}", String::from_utf8_lossy(&answer.body));
    Ok(())
}

async fn mark(bed: &Bed, folder: &str) -> Result<String> {
    let path = format!("/containers/{}/archive?path={folder}/mark", bed.name("web"));
    let answer = bed.raw().send("GET", &path, "", Vec::new()).await?;
    anyhow::ensure!(answer.status == 200, "{folder}: {}", String::from_utf8_lossy(&answer.body));
    let mut archive = tar::Archive::new(answer.body.as_slice());
    let mut entry = archive.entries()?.next().ok_or_else(|| anyhow::anyhow!("empty"))??;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text)?;
    Ok(text)
}

const VOLUMES: [&str; 6] = ["/named", "/anonymous", "/mounted", "/declared", "/owners", "/alone"];

#[test]
fn w3_keeps_every_create_option() {
    on_each(|engine| async move {
        let bed = Bed::new(&engine, &[]).await?;
        bed.push("web", &image("1")?).await?;
        let nets = Nets { front: network(&bed, "front").await?, back: network(&bed, "back").await? };
        let port = free_port()?;
        let mut body = request(&engine, &bed, port, &nets);
        body["Image"] = json!(bed.image("web"));
        bed.raw().pull(&bed.image("web")).await?;
        let name = bed.name("web");
        bed.raw().post(&format!("/containers/create?name={name}"), &body).await?;
        if engine.api == "1.41" {
            let connect = json!({"Container": name, "EndpointConfig": back(&nets)});
            bed.raw().post(&format!("/networks/{}/connect", bed.name("back")), &connect).await?;
        }
        bed.raw().post(&format!("/containers/{name}/start"), &Value::Null).await?;
        let first = bed.healthy("web").await?;
        for folder in VOLUMES {
            put_mark(&bed, folder, folder).await?;
        }
        // Somebody who reaches it by its aliases.
        let peer_port = free_port()?;
        let peer = json!({"Image": bed.image("web"), "HostConfig": {"NetworkMode": bed.name("back"),
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": peer_port.to_string()}]}}});
        bed.raw().run(&bed.name("peer"), &peer).await?;
        bed.healthy("peer").await?;

        let mut before = owners_part(&first);
        name_anonymous(&mut before);
        let mut ids = vec![first["Id"].clone()];
        for version in ["2", "3"] {
            bed.push("web", &image(version)?).await?;
            bed.dockbeacon(&["update", &name])?.ended(0);
            let container = bed.healthy("web").await?;
            assert!(!ids.contains(&container["Id"]), "it was not made anew");
            ids.push(container["Id"].clone());
            let after = owners_part(&container);
            let mut found = Vec::new();
            differences(&before, &after, "", &mut found);
            assert!(found.is_empty(), "on {} to {version}:\n{}", engine.name, found.join("\n"));

            // What is the image's is the new image's.
            let env = container["Config"]["Env"].to_string();
            for own in [format!("\"VERSION={version}\""), format!("\"FROM_IMAGE={version}\"")] {
                assert!(env.contains(&own), "{own} is not in {env}");
            }
            assert_eq!(container["Config"]["Labels"]["image.label"], version);
            assert_eq!(container["Config"]["Labels"]["org.opencontainers.image.version"], version);
            bed.stands("web", version).await?;

            // It works, for those outside and beside it, and has its data.
            assert_eq!(answer(port, "/version").await?, version);
            assert_eq!(answer(port, "/hostname").await?.trim(), "chosen");
            assert_eq!(answer(port, "/env/WITH").await?, "a=b c");
            assert_eq!(answer(peer_port, "/resolve/store").await?, format!("{}.88", nets.back));
            for folder in VOLUMES {
                assert_eq!(mark(&bed, folder).await?, folder);
            }
        }
        assert_eq!(answer(port, "/data").await?, "start 1\nstart 2\nstart 3\n");
        Ok(())
    })
    .unwrap();
}

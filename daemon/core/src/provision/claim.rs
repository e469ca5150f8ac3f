//! How a device without an owner tells whoever has it in hand how to claim it.
//!
//! Owns the words on the console and on the boot partition. Must never make a code.

/// The file on the boot partition.
pub const FILE: &str = "dockbeacon-claim.txt";

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The host name.
    pub host_name: String,
    /// The port of the page.
    pub port: u16,
    /// The claim code, `K7QF-2M9T-XW3B`.
    pub code: String,
    /// The SHA-256 of the certificate; `None` until there is one.
    pub fingerprint: Option<String>,
}

impl Offer {
    fn lines(&self) -> String {
        let mut text = format!(
            "  Page         https://{}.local:{}/\n  Claim code   {}\n",
            self.host_name, self.port, self.code
        );
        if let Some(fingerprint) = &self.fingerprint {
            // Two lines of 16 bytes: a console may have 80 columns.
            let (first, second) = fingerprint.split_at_checked(48).unwrap_or((fingerprint, ""));
            text.push_str(&format!("  Certificate  SHA-256 {first}\n"));
            if !second.is_empty() {
                text.push_str(&format!("                       {second}\n"));
            }
        }
        text
    }

    /// For the console, above the login prompt. agetty takes a backslash for a command, and there is none in it.
    #[must_use]
    pub fn banner(&self) -> String {
        format!("\nDockbeacon: this device has no owner yet.\n\n{}\n", self.lines())
    }

    /// For the boot partition, in the line ends of every system.
    #[must_use]
    pub fn file(&self) -> String {
        let text = format!(
            "This Dockbeacon has no owner yet. Open the page, enter the claim code and choose a password.\n\
             Your browser warns once, because the device made its certificate itself: compare the fingerprint.\n\
             This file goes away as soon as the device has an owner.\n\n{}",
            self.lines()
        );
        text.replace('\n', "\r\n")
    }
}

/// For the console once there is an owner.
#[must_use]
pub fn owned_banner(host_name: &str, port: u16) -> String {
    format!("\nDockbeacon: https://{host_name}.local:{port}/\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_fits_into_eighty_columns() {
        let offer = Offer {
            host_name: "dockbeacon".to_owned(),
            port: 3625,
            code: "K7QF-2M9T-XW3B".to_owned(),
            fingerprint: Some(["AB"; 32].join(":")),
        };
        let banner = offer.banner();
        assert!(banner.lines().all(|line| line.len() <= 80), "{banner}");
        assert!(banner.contains("https://dockbeacon.local:3625/") && banner.contains("K7QF-2M9T-XW3B"));
        assert_eq!(banner.matches("AB").count(), 32);
        assert!(offer.file().contains("K7QF-2M9T-XW3B\r\n"));
    }
}

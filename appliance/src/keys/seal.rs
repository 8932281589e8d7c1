//! Secrets → an age file that only the claimed machine can open.

use age::x25519::Recipient;
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// Base64 of the age file for `recipient` (`age1…`), holding the JSON of the secrets.
///
/// # Errors
/// The recipient is not an X25519 key.
pub fn seal(recipient: &str, secrets: &impl Serialize) -> anyhow::Result<String> {
    let recipient: Recipient = recipient
        .parse()
        .map_err(|reason: &str| anyhow!("the recipient is not an age X25519 key: {reason}"))?;
    let json = serde_json::to_vec(secrets).context("cannot write the secrets as JSON")?;
    let sealed = age::encrypt(&recipient, &json).context("cannot seal the secrets")?;
    Ok(STANDARD.encode(sealed))
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;
    use age::x25519::Identity;
    use netboot::api::types::{InstallSecrets, K3sSecrets};

    use super::*;

    fn secrets() -> InstallSecrets {
        InstallSecrets {
            node_key: "canary-node-key".to_owned(),
            k3s: Some(K3sSecrets {
                token: "canary-token".to_owned(),
                agent_token: None,
                node_password: "canary-password".to_owned(),
            }),
        }
    }

    #[test]
    fn only_the_recipient_opens_it() {
        let identity = Identity::generate();
        let sealed = seal(&identity.to_public().to_string(), &secrets()).expect("seals");
        let file = STANDARD.decode(sealed).expect("base64");
        assert!(file.starts_with(b"age-encryption.org/v1\n"));
        assert!(!file.windows(6).any(|octets| octets == b"canary"));
        let json = age::decrypt(&identity, &file).expect("opens");
        let opened: InstallSecrets = serde_json::from_slice(&json).expect("JSON");
        assert!(opened == secrets());
        assert!(age::decrypt(&Identity::generate(), &file).is_err());
    }

    #[test]
    fn a_text_that_is_no_recipient_is_refused() {
        let identity = Identity::generate();
        let public = identity.to_public().to_string();
        for (name, text) in [
            ("empty", String::new()),
            ("cut short", public[..20].to_owned()),
            ("one letter changed", public.replacen('1', "2", 1)),
            (
                "another kind",
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO".to_owned(),
            ),
            (
                "the secret half",
                identity.to_string().expose_secret().to_owned(),
            ),
        ] {
            let error = seal(&text, &secrets()).expect_err(name).to_string();
            assert!(
                error.starts_with("the recipient is not an age"),
                "{name}: {error}"
            );
            assert!(text.is_empty() || !error.contains(&text), "{name}: {error}");
        }
    }
}

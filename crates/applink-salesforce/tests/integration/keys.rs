//! Private keys as people paste them.

use applink_salesforce::oauth::{KeyError, SigningKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

/// Where the PKCS#1 key starts inside PKCS#8: behind two lengths, the version and the algorithm.
const PKCS8_HEAD: usize = 26;

/// Made for this test and used nowhere: 1024 bits, PKCS#1.
const SMALL: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQDNM6NOL0yRTIqhHr+jn4qZiyDwWpxcIoumdGUiuGS5stKHz5qi
r2vMYHBGm60FqxDBPXTwrm36cUKZFZ6c3gMghF0Q1wA8nCqbgLQF2RFZ4fjsT1yB
O5/c8Gg/LlNjWMqdokKM8S3QsKcGGpo6Qhefr8nIPL0es3K1Vxx9KE0WEwIDAQAB
AoGAK3gD4R0d8C2xtD3qRMQYPTx+xsu7Eb1zrdg8UGWVWM0r0f9Fd68He+z1+88g
kPHTA8x8CDw7KfFyNTGiPwK80HZ5O36Ja3DlfizJUKE5vY0es5caZOeuWLkcCvIR
cCOA6ErShAGq2iteKEhVLygatutGWwal30O3EjoV7sSzu9kCQQDqCho6txV8zL3h
SOkuGM6xVUQniXrmN5ns4xiE7mkUaBazUYnosGJMxEIwgy0o7FdOFBvfDTNYQSyV
hbysESfvAkEA4HTRxaEhLdfYAwoqiwa6YUwcJUeoDKhVKybP2FETxT3RMgwojgii
69FwNQCei9lDEjqebObj29xASOpvOk1wHQJARawYPt5+IRb6d/Sypixwa85MadC9
q4dl5WV9ySUIVzDdgSiG+6R2vw+1/KcwbHxfSTknSvGtFVrhoOmdT0QUNQJBAIun
I32bK1GiojwB70ZhAUXYXQq08tItShB3LYqhp3NpaueAuRrmNLgUr4PKxtqsaxbE
ch2/6rW47CZx9pKH6+ECQA4BujUNxihhaFg8qB24myd8vI73ge/Zjhl1EA6OJ/28
JoV8CPA3xQDNIrqmwj5ZPjr3GMc5JzSSW/NDwQY0x6I=
-----END RSA PRIVATE KEY-----
";
/// Made for this test and used nowhere: P-256, PKCS#8.
const ELLIPTIC: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgauTNEIX8DqfH079d
f7vBy8qjCoHgWiODkWKlIlBs1sqhRANCAAS8cMZGhx0VPHL/zVEHTInlIfYpgyuo
vBc7Hu9T72Ar2mURKi4EbCfIm01rq1zADp40RYGUrhIr2SpaM6TuQkkc
-----END PRIVATE KEY-----
";

fn key_der() -> (Vec<u8>, Vec<u8>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (private.as_ref().to_vec(), public.as_ref().to_vec())
}

fn pem(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der.to_vec()))
}

/// A fresh PKCS#8 key and its public half.
pub(crate) fn pkcs8_pem() -> (SecretString, Vec<u8>) {
    let (private, public) = key_der();
    (pem("PRIVATE KEY", &private).into(), public)
}

/// A public key as an org is given it.
pub(crate) fn public_pem(der: &[u8]) -> String {
    pem("PUBLIC KEY", der)
}

/// Checks an RS256 signature with another implementation path than the one that signs.
pub(crate) fn verify(public: &[u8], header: &str, claims: &str, signature: &str) {
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(format!("{header}.{claims}").as_bytes(), &signature).expect("the signature fits");
}

fn refused(text: &str) -> KeyError {
    SigningKey::from_pem(&SecretString::from(text)).expect_err(text)
}

#[test]
fn reads_pkcs8_and_pkcs1_also_beside_a_certificate() {
    let (private, _) = key_der();
    let pkcs8 = pem("PRIVATE KEY", &private);
    let pkcs1 = pem("RSA PRIVATE KEY", &private[PKCS8_HEAD..]);
    let certificate = pem("CERTIFICATE", b"not read");
    for text in [pkcs8.clone(), pkcs1, format!("{certificate}\n{pkcs8}"), pkcs8.replace('\n', "\r\n")] {
        let key = SigningKey::from_pem(&SecretString::from(text)).unwrap();
        assert_eq!(key.bits(), 2048);
        assert_eq!(format!("{key:?}"), "SigningKey(RSA 2048)");
    }
}

#[test]
fn says_what_is_wrong_with_other_texts() {
    for text in ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nMII", "ssh-rsa AAAA"] {
        assert_eq!(refused(text), KeyError::NotPem, "{text}");
    }
    assert_eq!(refused("-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n"), KeyError::NotPem);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(refused(encrypted), KeyError::Encrypted);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(refused(old), KeyError::Encrypted);
    assert_eq!(refused(&pem("CERTIFICATE", b"x")), KeyError::NotPrivate);
    assert_eq!(refused(&pem("PUBLIC KEY", b"x")), KeyError::NotPrivate);
    assert_eq!(refused(&pem("EC PRIVATE KEY", b"x")), KeyError::NotRsa);
    assert_eq!(refused(&pem("OPENSSH PRIVATE KEY", b"x")), KeyError::NotRsa);
    assert_eq!(refused(ELLIPTIC), KeyError::NotRsa);
    assert_eq!(refused(SMALL), KeyError::TooSmall);
    let (private, _) = key_der();
    assert_eq!(refused(&pem("RSA PRIVATE KEY", &private)), KeyError::Damaged);
    assert_eq!(refused(&pem("PRIVATE KEY", &private[..600])), KeyError::Damaged);
}

#[test]
fn every_error_says_what_to_do_and_quotes_nothing() {
    let error = refused("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n");
    assert!(!format!("{error} {error:?} {}", error.hint()).contains("canary"));
    for error in [
        KeyError::NotPem,
        KeyError::NotPrivate,
        KeyError::Encrypted,
        KeyError::NotRsa,
        KeyError::TooSmall,
        KeyError::Damaged,
    ] {
        assert!(error.hint().len() > 20);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(-----BEGIN (RSA )?PRIVATE KEY-----)?.{0,200}") {
        let _ = SigningKey::from_pem(&SecretString::from(text));
    }
}

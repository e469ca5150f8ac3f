//! One-time codes and the strength of passwords.
//!
//! Owns how random bytes become a code that people can read out and type, and which passwords are too weak. Must never
//! make randomness: the bytes are an argument.

/// Crockford's base 32: no I, L, O or U, so that nothing can be mistaken for a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The shortest password. Shorter ones can be tried through in a lifetime by whoever steals the card, argon2 or not.
pub const PASSWORD_MIN: usize = 10;
/// The longest password, in bytes; beyond it somebody only wants to keep the processor busy.
pub const PASSWORD_MAX: usize = 512;

/// A password cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error(
        "the password has {0} characters; choose at least {PASSWORD_MIN}, because a shorter one can be guessed by \
         whoever steals the card"
    )]
    TooShort(usize),
    /// Too long.
    #[error("the password has {0} bytes; choose at most {PASSWORD_MAX}")]
    TooLong(usize),
}

/// A code of 12 characters in three groups, `K7QF-2M9T-XW3B`: 60 of the 64 random bits given.
#[must_use]
pub fn code_from(bytes: [u8; 8]) -> String {
    let mut bits = u64::from_be_bytes(bytes);
    let mut code = String::with_capacity(14);
    for place in 0..12 {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[(bits & 31) as usize]));
        bits >>= 5;
    }
    code
}

/// A code as somebody typed it, made comparable: upper case, no spaces or dashes, `O` as `0`, `I` and `L` as `1`.
#[must_use]
pub fn normalise_code(typed: &str) -> String {
    typed
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}' | '_'))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

/// Whether a new password is strong enough. Only length counts: rules about signs make people write passwords down.
///
/// # Errors
/// When it is too short or absurdly long.
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    let characters = password.chars().count();
    if characters < PASSWORD_MIN {
        return Err(PasswordError::TooShort(characters));
    }
    if password.len() > PASSWORD_MAX {
        return Err(PasswordError::TooLong(password.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_grouped_and_forgiving() {
        assert_eq!(code_from([0; 8]), "0000-0000-0000");
        assert_eq!(code_from([255; 8]), "ZZZZ-ZZZZ-ZZZZ");
        for typed in ["k7qf-2m9t-xw3b", " K7QF 2M9T XW3B\n", "K7QF\u{2013}2M9T\u{2014}XW3B"] {
            assert_eq!(normalise_code(typed), "K7QF2M9TXW3B");
        }
        assert_eq!(normalise_code("oO-iI-lL"), "001111");
    }

    #[test]
    fn passwords_are_measured_in_characters() {
        assert_eq!(check_password("short"), Err(PasswordError::TooShort(5)));
        assert_eq!(check_password("ääääääääää"), Ok(()));
        assert_eq!(check_password(&"x".repeat(513)), Err(PasswordError::TooLong(513)));
    }

    proptest! {
        #[test]
        fn sixty_bits_make_sixty_bits(a: u64, b: u64) {
            let (x, y) = (code_from(a.to_be_bytes()), code_from(b.to_be_bytes()));
            let low = (1_u64 << 60) - 1;
            prop_assert_eq!(x == y, a & low == b & low);
            let plain = x.replace('-', "");
            prop_assert_eq!(normalise_code(&x.to_lowercase()), plain);
        }
    }
}

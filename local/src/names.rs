//! How one name is written in different places: `SendMessage` in the contract, `send-message` as a program and a function,
//! `send_message` as a file, `SendMessageFunction` as a resource.

/// A name's words in lower case, joined by this: `send-message` for `SendMessage`.
pub fn words(pascal: &str, joint: char) -> String {
    let mut words = String::new();
    for letter in pascal.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(joint);
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// `SendMessage` for `send-message`.
pub fn pascal_case(kebab: &str) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    kebab.split('-').filter_map(capitalised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_in_all_of_its_forms() {
        assert_eq!(words("ListMessages2", '_'), "list_messages2");
        for function in crate::functions() {
            assert_eq!(words(&pascal_case(function.name()), '-'), function.name());
        }
    }
}

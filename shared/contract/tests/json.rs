//! What is taken as JSON, and what is not.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

use chat_contract::json::decode;
use chat_contract::v1::{
    FriendRequestAnswer, ListMessagesRequest, LiveRequest, RespondToFriendRequestRequest, SendMessageRequest,
    SyncConversationsRequest, UpsertProfileRequest, list_messages_request, live_request,
};

fn refused<M: chat_contract::json::Schema + std::fmt::Debug>(json: &str) -> String {
    decode::<M>(json.as_bytes()).unwrap_err().to_string()
}

fn read_seq(json: &str) -> Option<i64> {
    decode::<SendMessageRequest>(json.as_bytes())
        .ok()
        .map(|request| request.read_seq)
}

#[test]
fn null_is_what_is_not_set() {
    let json = r#"{"conversationId": null, "clientMessageId": "a", "text": null, "retry": null, "readSeq": null}"#;
    let expected = SendMessageRequest {
        client_message_id: "a".to_owned(),
        ..SendMessageRequest::default()
    };
    assert_eq!(decode::<SendMessageRequest>(json.as_bytes()).unwrap(), expected);
    let sync: SyncConversationsRequest = decode(br#"{"cursors": null, "feed": null}"#).unwrap();
    assert_eq!(sync, SyncConversationsRequest::default());
    let answer: RespondToFriendRequestRequest = decode(br#"{"answer": null}"#).unwrap();
    assert_eq!(answer, RespondToFriendRequestRequest::default());
    for null in [r#"{"cursors": [null]}"#, "null"] {
        decode::<SyncConversationsRequest>(null.as_bytes()).unwrap_err();
    }
}

#[test]
fn of_a_oneof_one_is_set_whatever_the_order() {
    for json in [r#"{"hello": null, "ping": {}}"#, r#"{"ping": {}, "hello": null}"#] {
        let request = decode::<LiveRequest>(json.as_bytes()).unwrap().request.unwrap();
        assert!(matches!(request, live_request::Request::Ping(_)), "{json}");
    }
    let both = refused::<ListMessagesRequest>(r#"{"afterSeq": "1", "before_seq": 2}"#);
    assert!(both.starts_with("before_seq cannot be set beside after_seq"), "{both}");
}

#[test]
fn integers_are_numbers_or_strings_of_numbers() {
    for (json, number) in [
        ("2", 2),
        ("2.0", 2),
        ("2e0", 2),
        ("1e1", 10),
        ("-0", 0),
        ("1E+3", 1_000),
        ("100e-2", 1),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        for json in [json.to_owned(), format!("\"{json}\"")] {
            assert_eq!(read_seq(&format!(r#"{{"readSeq": {json}}}"#)), Some(number), "{json}");
        }
    }
    for bad in [
        "2.5",
        "1e-1",
        "\"\"",
        "\" 2\"",
        "\"2 \"",
        "\"+2\"",
        "\"02\"",
        "\"0x2\"",
        "\"1_000\"",
        "\"2.5\"",
        "\"NaN\"",
        "\"Infinity\"",
        "true",
        "[2]",
        "{}",
        "9223372036854775808",
        "1e19",
        "-1e300",
    ] {
        assert_eq!(read_seq(&format!(r#"{{"readSeq": {bad}}}"#)), None, "{bad}");
    }
    let size = |json: &str| decode::<ListMessagesRequest>(format!(r#"{{"pageSize": {json}}}"#).as_bytes());
    assert_eq!(size("-2147483648").unwrap().page_size, i32::MIN);
    size("2147483648").unwrap_err();
}

#[test]
fn names_are_in_camel_case_or_as_in_the_contract_and_stand_there_once() {
    for name in ["userId", "user_id"] {
        let request: RespondToFriendRequestRequest = decode(format!(r#"{{"{name}": "bob"}}"#).as_bytes()).unwrap();
        assert_eq!(request.user_id, "bob");
    }
    for twice in [
        r#"{"userId": "a", "user_id": "b"}"#,
        r#"{"userId": "a", "userId": "a"}"#,
    ] {
        let refusal = refused::<RespondToFriendRequestRequest>(twice);
        assert!(refusal.starts_with("user_id stands there twice"), "{refusal}");
    }
    // Of a later version.
    let request: RespondToFriendRequestRequest =
        decode(br#"{"later": {"a": [1, null, {"b": "c"}]}, "userId": "bob", "USERID": 1}"#).unwrap();
    assert_eq!(request.user_id, "bob");
}

#[test]
fn enums_are_names_or_numbers_known_or_not() {
    let answer = |json: &str| {
        decode::<RespondToFriendRequestRequest>(format!(r#"{{"answer": {json}}}"#).as_bytes())
            .map(|request| request.answer)
    };
    let accept = FriendRequestAnswer::Accept.into();
    assert_eq!(answer(r#""FRIEND_REQUEST_ANSWER_ACCEPT""#).unwrap(), accept);
    assert_eq!(
        (answer("1").unwrap(), answer("1.0").unwrap(), answer("77").unwrap()),
        (accept, accept, 77)
    );
    for bad in [r#""ACCEPT""#, r#""1""#, "1.5", "2147483648", "true", "[]"] {
        answer(bad).unwrap_err();
    }
}

#[test]
fn other_values_have_one_form() {
    for bad in [
        r#"{"text": 1}"#,
        r#"{"text": ["a"]}"#,
        r#"{"text": "\ud800"}"#,
        r#"{"retry": "true"}"#,
        r#"{"retry": 1}"#,
        "[]",
        "1",
        "",
        "{",
        "{} {}",
        r#"{"text": 'a'}"#,
    ] {
        assert!(decode::<SendMessageRequest>(bad.as_bytes()).is_err(), "{bad}");
    }
    for bad in [
        r#"{"cursors": {}}"#,
        r#"{"cursors": [[]]}"#,
        r#"{"cursors": ["a"]}"#,
        r#"{"feed": []}"#,
    ] {
        assert!(decode::<SyncConversationsRequest>(bad.as_bytes()).is_err(), "{bad}");
    }
    let mask: UpsertProfileRequest = decode(br#"{"updateMask": "displayName,avatarUrl"}"#).unwrap();
    assert_eq!(mask.update_mask.unwrap().paths, ["display_name", "avatar_url"]);
    decode::<UpsertProfileRequest>(br#"{"updateMask": "display_name"}"#).unwrap_err();
}

#[test]
fn a_refusal_says_where_and_what_is_wanted() {
    for (json, expected) in [
        (
            r#"{"cursors": [{"revision": 1}, {"revision": "+2"}]}"#,
            r#"cursors[1].revision is "+2"; it must be an integer of 64 bits at line 1 column 47"#,
        ),
        (
            r#"{"cursors": 5}"#,
            "cursors is 5; it must be a list at line 1 column 13",
        ),
        (
            r#"{"cursors": [null]}"#,
            "cursors[0] is null; it must be an object at line 1 column 17",
        ),
    ] {
        assert_eq!(refused::<SyncConversationsRequest>(json), expected);
    }
    let long =
        refused::<SyncConversationsRequest>(&format!(r#"{{"feed": {{"epoch": "{}"}}}}"#, "\u{e9}".repeat(1_000)));
    assert!(long.len() < 200, "{long}");
}

#[test]
fn what_is_nested_without_end_does_no_harm() {
    let deep = |name: &str| format!(r#"{{"{name}": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    decode::<SendMessageRequest>(deep("later").as_bytes()).unwrap();
    refused::<SendMessageRequest>(&deep("text"));
    refused::<SyncConversationsRequest>(&deep("cursors"));
}

#[test]
fn a_position_may_be_zero_and_set() {
    let request: ListMessagesRequest = decode(br#"{"afterSeq": 0}"#).unwrap();
    assert_eq!(request.position, Some(list_messages_request::Position::AfterSeq(0)));
}

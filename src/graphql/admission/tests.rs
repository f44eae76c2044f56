//! What admission refuses, what it must let through, and that neither is much work.

use std::fmt::Write;

use async_graphql::{Request, Variables, parser::types::OperationType};

use super::*;

fn verdict(query: &str) -> Result<OperationType, Rejection> {
    admit(&mut Request::new(query), &QueryLimits::default())
}

fn code(query: &str) -> &'static str {
    verdict(query).expect_err("should be refused").code
}

/// 20 fragments, each spreading the next ten times: 10^20 selections in about 2 KB.
fn bomb() -> String {
    let mut query = "query { ...f0 }".to_owned();
    for level in 0..20 {
        let spreads = format!("...f{} ", level + 1).repeat(10);
        write!(query, " fragment f{level} on Query {{ {spreads} }}").unwrap();
    }
    query + " fragment f20 on Query { hello }"
}

#[test]
fn a_fragment_bomb_is_counted_not_expanded() {
    assert_eq!(code(&bomb()), TOO_COMPLEX);
}

#[test]
fn introspection_lists_that_multiply_are_refused() {
    // 652 bytes that would answer with 219 MB.
    assert_eq!(code(include_str!("bomb.graphql")), TOO_COMPLEX);
    for (once, product) in [
        (
            "{ __schema { types { name } } }",
            "{ __schema { types { fields { type { fields { name description } } } } } }",
        ),
        (
            "{ __type(name: \"A\") { possibleTypes { interfaces { name } } } }",
            "{ __type(name: \"A\") { fields { type { fields { type { fields { name } } } } } } }",
        ),
        (
            "{ a: __schema { types { name } } b: __schema { types { name } } }",
            "{ ...s ...s ...s ...s } fragment s on Query { a: __schema { types { fields { args { name type { ofType { name } } } \
             type { fields { name } } } } } }",
        ),
        (
            "{ types { fields { possibleTypes { fields { types { fields } } } } } }",
            "{ __schema { types { interfaces { \
             possibleTypes { fields { name args { name } } } } } } }",
        ),
    ] {
        assert_eq!(verdict(once), Ok(OperationType::Query), "{once}");
        assert_eq!(code(product), TOO_COMPLEX, "{product}");
    }
}

#[test]
fn selections_are_counted_where_fragments_are_spread() {
    let query = |spreads: usize| {
        let spreads = "...f ".repeat(spreads);
        format!("{{ {spreads} }} fragment f on Query {{ a b c d e f g h i }}")
    };
    assert_eq!(verdict(&query(200)), Ok(OperationType::Query));
    assert_eq!(code(&query(201)), TOO_COMPLEX);
}

#[test]
fn selections_of_all_operations_are_added_up() {
    let fields = "a ".repeat(1_100);
    let query = format!("query A {{ {fields} }} query B {{ {fields} }}");
    assert_eq!(code(&query), TOO_COMPLEX);
}

#[test]
fn aliases_are_counted_where_fragments_are_spread() {
    let query = |spreads: usize| {
        let spreads = "...f ".repeat(spreads);
        format!("{{ {spreads} }} fragment f on Query {{ x: a y: a }}")
    };
    assert_eq!(verdict(&query(50)), Ok(OperationType::Query));
    assert_eq!(code(&query(51)), TOO_COMPLEX);
}

#[test]
fn depth_is_of_fields_and_goes_through_fragments() {
    let nested = |levels: usize| format!("{}a{}", "a { ".repeat(levels - 1), " }".repeat(levels - 1));
    assert!(verdict(&format!("{{ {} }}", nested(16))).is_ok());
    assert_eq!(code(&format!("{{ {} }}", nested(17))), TOO_COMPLEX);
    let split = |levels: usize| {
        let inner = nested(8);
        let outer = "a { ".repeat(levels) + "...f" + &" }".repeat(levels);
        format!("{{ {outer} }} fragment f on T {{ {inner} }}")
    };
    assert!(verdict(&split(8)).is_ok());
    assert_eq!(code(&split(9)), TOO_COMPLEX);
}

#[test]
fn a_fragment_inside_itself_is_refused() {
    assert_eq!(code("{ ...a } fragment a on T { ...a }"), VALIDATION_FAILED);
    assert_eq!(code("{ x } fragment a on T { b { ...b } } fragment b on T { ...a }"), VALIDATION_FAILED);
}

#[test]
fn a_long_chain_of_fragments_is_refused_without_following_it() {
    let mut query = "{ ...f0 }".to_owned();
    for level in 0..1_500 {
        write!(query, " fragment f{level} on T {{ ...f{} }}", level + 1).unwrap();
    }
    assert_eq!(code(&query), TOO_COMPLEX);
}

#[test]
fn brackets_that_would_overflow_the_stack_never_reach_the_parser() {
    // On a small stack, so that a parser that was reached would show.
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let thread = small.spawn(|| {
        for open in ["{", "[", "(", "{a(b:[", "{a{", "query($a:[", "{a(b:{c:", "{...{", "{a@b(c:["] {
            let flood = open.repeat(200 * 1024 / open.len());
            for query in [flood.clone(), format!("{{ a(b: {flood}"), format!("query($a: {flood}")] {
                assert_eq!(code(&query), TOO_COMPLEX, "{open}");
            }
        }
    });
    thread.unwrap().join().expect("the stack sufficed");
}

#[test]
fn the_deepest_nesting_let_through_is_parsed_on_an_ordinary_stack() {
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let thread = small.spawn(|| {
        let (open, close) = ("[".repeat(60), "]".repeat(60));
        assert!(verdict(&format!("{{ a(b: {open}1{close}) }}")).is_ok());
        let (open, close) = ("{c:".repeat(60), "}".repeat(60));
        assert!(verdict(&format!("{{ a(b: {open}1{close}) }}")).is_ok());
    });
    thread.unwrap().join().expect("the stack sufficed");
}

#[test]
fn strings_and_comments_hide_brackets_from_the_scan_as_from_the_parser() {
    let flood = "{[(".repeat(100);
    for query in [
        format!("{{ a(b: \"{flood}\") }}"),
        format!("{{ a(b: \"\\\"{flood}\") }}"),
        format!("{{ a(b: \"\"\"{flood} \" \\\"\"\" {flood}\"\"\") }}"),
        format!("{{ a # {flood} \" \n }}"),
        format!("{{ a # {flood} \" \r }}"),
    ] {
        assert!(verdict(&query).is_ok(), "{query}");
    }
    // An unterminated block string could be read as an empty string and something else.
    assert_eq!(code(&format!("{{ a(b: [\"\"\"x\" {flood}")), PARSE_FAILED);
    assert_eq!(code(&format!("{{ a(b: \"{flood}\n\") }}")), PARSE_FAILED);
    assert_eq!(code("{ a(b: \"\\"), PARSE_FAILED);
    assert_eq!(code("{ a(b: \"\"\"\\\"\"\""), PARSE_FAILED);
    assert_eq!(code("\""), PARSE_FAILED);
}

#[test]
fn floods_of_tokens_are_read_no_further_than_to_the_limit() {
    let most = QueryLimits::default().tokens + 3;
    for piece in ["a ", "@a", "a:a ", "$a:A ", "!", ",\n\"\"", "...a ", "\"\"\"\"\"\"", "{}", "1 "] {
        let flood = piece.repeat(250 * 1024 / piece.len());
        let rejection = verdict(&format!("{{ {flood} }}")).unwrap_err();
        assert_eq!(rejection.code, TOO_COMPLEX, "{piece}");
        let read = rejection.location.unwrap();
        assert!(read.line <= most && read.column <= most * piece.len(), "{piece}: {read:?}");
    }
}

/// Each of these documents is about as large as the limits let it be.
#[test]
fn the_parser_takes_few_steps_for_what_is_let_through() {
    let tokens = [
        "@a(b:[1]) ",
        "#\n a ",
        "a(b:{c:{d:[1,2]}}) ",
        "... on A { b } ",
        "a:a ",
        "a{b{c{d}}}",
        "\"\" ",
        "{",
        "$a:[A!]!=1 ",
    ];
    let mut documents: Vec<String> = tokens
        .iter()
        .flat_map(|piece| {
            // Each character is a token at most.
            let flood = piece.repeat(14_900 / piece.split_whitespace().map(str::len).sum::<usize>());
            [
                format!("query Q {{ x {flood} }}"),
                format!("query Q ({flood}) {{ x }}"),
                format!("{{ x(y: [{flood}]) }}"),
                flood,
            ]
        })
        .collect();
    documents.push("#".repeat(250 * 1024) + "\n{ a }");
    documents.push(" ".repeat(250 * 1024) + "{ a }");
    documents.push("\u{feff}".repeat(80 * 1024) + "{ a }");
    documents.push(" ".repeat(20 * 1024) + "{ a " + &"\n#x\n".repeat(55_000) + "}");
    documents.push(format!("{{ a(b: \"{}\") }}", "\\u00e9".repeat(40_000)));
    documents.push(format!("{{ a(b: \"\"\"{}\"\"\") }}", "\\\"\"\"".repeat(60_000)));
    for document in documents {
        assert!(document.len() <= QueryLimits::default().body_bytes, "{}", document.len());
        let start: String = document.chars().take(60).collect();
        if let Err(rejection) = verdict(&document) {
            assert!(!rejection.message.contains("steps"), "{start}: {rejection}");
        }
    }
}

#[test]
fn a_name_as_long_as_the_body_is_refused() {
    assert!(verdict(&format!("{{ {} }}", "a".repeat(256))).is_ok());
    assert_eq!(code(&format!("{{ {} }}", "a".repeat(257))), TOO_COMPLEX);
}

#[test]
fn a_syntax_error_says_where_without_quoting_the_document() {
    let query = format!("{{ a(b: \"{}\") ) }}", "x".repeat(100_000));
    let rejection = verdict(&query).unwrap_err();
    assert_eq!(rejection.code, PARSE_FAILED);
    assert!(rejection.message.len() < 300, "{}", rejection.message.len());
    assert!(rejection.message.starts_with("Syntax error at line 1, column 1000"));
    assert_eq!(code(""), PARSE_FAILED);
    assert_eq!(code("fragment a on B { c }"), PARSE_FAILED);
}

#[test]
fn the_operation_is_chosen_by_name() {
    let chosen = |name: Option<&str>| {
        let mut request = Request::new("query A { a } mutation B { b } subscription C { c }");
        request.operation_name = name.map(str::to_owned);
        admit(&mut request, &QueryLimits::default()).map_err(|rejection| rejection.code)
    };
    assert_eq!(chosen(Some("A")), Ok(OperationType::Query));
    assert_eq!(chosen(Some("B")), Ok(OperationType::Mutation));
    assert_eq!(chosen(Some("C")), Ok(OperationType::Subscription));
    assert_eq!(chosen(Some("D")), Err(UNKNOWN_OPERATION));
    assert_eq!(chosen(None), Err(UNKNOWN_OPERATION));
    assert_eq!(chosen(Some("")), Err(UNKNOWN_OPERATION));
    let mut anonymous = Request::new("{ a }").operation_name("");
    assert_eq!(admit(&mut anonymous, &QueryLimits::default()), Ok(OperationType::Query));
    let mut named = Request::new("{ a }").operation_name("A");
    assert!(admit(&mut named, &QueryLimits::default()).is_err());
}

#[test]
fn no_string_may_pose_as_a_file() {
    for query in [
        r##"mutation { a(f: "#__graphql_file__:0") }"##,
        r##"mutation { a(f: {b: ["\u0023__graphql_file__:x"]}) }"##,
        r##"mutation { a { b(f: """#__graphql_file__:0""") } }"##,
        r##"mutation ($f: Upload = "#__graphql_file__:0") { a(f: $f) }"##,
        r##"mutation { a @b(c: "#__graphql_file__:0") }"##,
        r##"{ ...f } fragment f on Q { ... on Q { a(b: "#__graphql_file__:1") } }"##,
    ] {
        assert_eq!(code(query), BAD_UPLOAD, "{query}");
    }
    let variables = serde_json::json!({ "deep": { "list": [null, "#__graphql_file__:7"] } });
    let mut request = Request::new("{ a }").variables(Variables::from_json(variables));
    let rejection = admit(&mut request, &QueryLimits::default()).unwrap_err();
    assert_eq!(rejection.code, BAD_UPLOAD);
    assert!(verdict(r##"{ a(b: "about #__graphql_file__:0") }"##).is_ok());
}

#[test]
fn a_required_variable_must_be_given_unless_it_has_a_default_or_is_a_file() {
    let query = "mutation A($a: Int!, $b: Int! = 1, $c: Int, $d: Upload!) { x } query B($z: [Int!]!) { y }";
    let with = |variables: serde_json::Value| {
        let variables = Variables::from_json(variables);
        let mut request = Request::new(query).operation_name("A").variables(variables);
        admit(&mut request, &QueryLimits::default())
    };
    assert_eq!(with(serde_json::json!({ "a": 0 })), Ok(OperationType::Mutation));
    for variables in [serde_json::json!({}), serde_json::json!({ "a": null, "c": 1 })] {
        let rejection = with(variables).unwrap_err();
        assert_eq!(rejection.code, VALIDATION_FAILED);
        assert!(rejection.message.contains("\"$a\" of type \"Int!\""), "{rejection}");
    }
}

#[test]
fn no_sequence_of_tokens_makes_it_panic() {
    const PIECES: [&str; 30] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "...",
        "on ",
        "Q ",
        "a",
        ":",
        "$",
        "@",
        "!",
        "=",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        "\n",
        "query ",
        "fragment ",
        "mutation ",
        "1",
        "-1.5e9",
        "null ",
        "é",
        "\u{feff}",
        "{a ",
        "{...a ",
    ];
    // An xorshift generator: the same documents every time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut query = String::new();
        for _ in 0..random(24) {
            query += PIECES[random(PIECES.len())];
        }
        if random(2) == 0 {
            query = format!("{{ a {query} }}");
        }
        accepted += usize::from(verdict(&query).is_ok());
    }
    assert!(accepted > 100, "{accepted} documents were well formed");
}

//! The header read again: its declarations alone, for FFIs that read C but no preprocessor's directives, and as JSON.

use std::fmt::Write as _;

/// One declaration of the header, and what its comment says.
pub enum Item {
    Constant { name: String, value: String, doc: String },
    Handle { name: String, doc: String },
    Alias { name: String, kind: String, doc: String },
    Callback { function: Function },
    Structure { name: String, fields: Vec<(Value, String)>, doc: String },
    Function { function: Function },
}

pub struct Function {
    name: String,
    returns: String,
    parameters: Vec<Value>,
    nodiscard: bool,
    doc: String,
}

pub struct Value {
    kind: String,
    name: String,
}

/// What is no declaration for others: macros of C's and C++'s own.
const OURS: [&str; 4] = ["STENT_H", "STENT_API", "STENT_NODISCARD", "STENT_VERSION_STRING"];

pub fn read(header: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut doc, mut statement, mut fields) = (String::new(), String::new(), Vec::new());
    let mut rest = header;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("/*") {
            let (text, after) = comment.split_once("*/").expect("every comment ends");
            if let Some(text) = text.strip_prefix('*') {
                doc = plain(text);
            }
            rest = after;
        } else if rest.starts_with('#') {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            items.extend(constant(line, &doc));
            rest = after;
        } else {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            // An indented comment begins in the middle of a structure.
            let (line, after) = match line.find("/*") {
                Some(at) => (&rest[..at], &rest[at..]),
                None => (line, after),
            };
            take(line.trim(), &mut statement, &mut fields, &mut doc, &mut items);
            rest = after;
        }
    }
    items
}

/// A line of code: the end of a statement, or a part of one.
fn take(
    line: &str,
    statement: &mut String,
    fields: &mut Vec<(Value, String)>,
    doc: &mut String,
    items: &mut Vec<Item>,
) {
    if line.is_empty() || line == "extern \"C\" {" || line.starts_with("}  // extern") {
        return;
    }
    statement.push_str(if statement.is_empty() { "" } else { " " });
    statement.push_str(line);
    if statement.starts_with("typedef struct {") {
        return structure(statement, fields, doc, items);
    }
    if line.ends_with(';') {
        items.push(declaration(statement.trim_end_matches(';'), std::mem::take(doc)));
        statement.clear();
    }
}

/// A structure's comment is kept until its end; those of its fields come one by one.
fn structure(statement: &mut String, fields: &mut Vec<(Value, String)>, doc: &mut String, items: &mut Vec<Item>) {
    let body = statement["typedef struct {".len()..].trim().to_owned();
    if let Some(name) = body.strip_prefix('}') {
        let name = name.trim_end_matches(';').trim().to_owned();
        let mut fields = std::mem::take(fields);
        let (_, doc) = fields.remove(0);
        items.push(Item::Structure { name, fields, doc });
        statement.clear();
    } else if let Some(field) = body.strip_suffix(';') {
        fields.push((value(field), std::mem::take(doc)));
        *statement = "typedef struct {".to_owned();
    } else if fields.is_empty() {
        // The first of them is the structure's own comment.
        fields.push((Value { kind: String::new(), name: String::new() }, std::mem::take(doc)));
    }
}

fn constant(line: &str, doc: &str) -> Option<Item> {
    let (name, value) = line.strip_prefix("#define ")?.split_once(' ')?;
    let value = value.trim_matches(['(', ')']);
    let is_number = value.parse::<i64>().is_ok();
    (is_number && !OURS.contains(&name)).then(|| Item::Constant {
        name: name.to_owned(),
        value: value.to_owned(),
        doc: doc.to_owned(),
    })
}

fn declaration(text: &str, doc: String) -> Item {
    let Some(alias) = text.strip_prefix("typedef ") else {
        let nodiscard = text.contains("STENT_NODISCARD ");
        let text = text.replace("STENT_NODISCARD ", "").replace("STENT_API ", "");
        return Item::Function { function: function(&text, nodiscard, doc) };
    };
    if let Some((returns, rest)) = alias.split_once("(*") {
        return Item::Callback { function: function(&format!("{returns}{}", rest.replacen(')', "", 1)), false, doc) };
    }
    let Value { kind, name } = value(alias);
    if kind == format!("struct {name}") { Item::Handle { name, doc } } else { Item::Alias { name, kind, doc } }
}

/// `int32_t name(const char *text, ...)`.
fn function(text: &str, nodiscard: bool, doc: String) -> Function {
    let (before, parameters) = text.split_once('(').expect("a function has parameters");
    let Value { kind: returns, name } = value(before);
    let parameters = parameters.trim_end().trim_end_matches(')');
    let parameters = match parameters {
        "void" => Vec::new(),
        some => some.split(',').map(value).collect(),
    };
    Function { name, returns, parameters, nodiscard, doc }
}

/// `const char *name`.
fn value(text: &str) -> Value {
    let text = text.trim();
    let at = text.rfind([' ', '*']).expect("a type and a name") + 1;
    Value { kind: text[..at].trim().to_owned(), name: text[at..].to_owned() }
}

/// A comment without its stars.
fn plain(comment: &str) -> String {
    let lines = comment.trim().lines().map(|line| line.trim().trim_start_matches('*').trim());
    lines.collect::<Vec<_>>().join("\n")
}

/// The declarations, in the header's order. Constants are enumerators, which every reader of C knows.
pub fn declarations(items: &[Item]) -> String {
    let mut text =
        String::from("/* The declarations of stent.h alone, without preprocessor. Generated: make header. */\n");
    let mut constants = Vec::new();
    for item in items {
        match item {
            // One that is no int can't be an enumerator.
            Item::Constant { name, value, .. } if value.parse::<i32>().is_ok() => {
                constants.push(format!("  {name} = {value}"));
            }
            Item::Constant { .. } => {}
            Item::Handle { name, .. } => put(&mut text, &format!("typedef struct {name} {name}")),
            Item::Alias { name, kind, .. } => put(&mut text, &format!("typedef {kind} {name}")),
            Item::Callback { function } => {
                let parameters = parameters(function);
                put(&mut text, &format!("typedef {} (*{})({parameters})", function.returns, function.name));
            }
            Item::Structure { name, fields, .. } => {
                let fields: String = fields.iter().map(|(field, _)| format!("{}; ", declared(field))).collect();
                put(&mut text, &format!("typedef struct {{ {fields}}} {name}"));
            }
            Item::Function { function } => {
                let Function { name, returns, .. } = function;
                let returned = declared(&Value { kind: returns.clone(), name: name.clone() });
                put(&mut text, &format!("{returned}({})", parameters(function)));
            }
        }
    }
    put(&mut text, &format!("enum {{\n{}\n}}", constants.join(",\n")));
    text
}

fn put(text: &mut String, statement: &str) {
    writeln!(text, "{statement};").expect("a String takes everything");
}

fn parameters(function: &Function) -> String {
    if function.parameters.is_empty() {
        return "void".to_owned();
    }
    function.parameters.iter().map(declared).collect::<Vec<_>>().join(", ")
}

fn declared(value: &Value) -> String {
    let space = if value.kind.ends_with('*') { "" } else { " " };
    format!("{}{space}{}", value.kind, value.name)
}

/// What a value is for, as far as its type and name tell: whoever makes a binding need not read C.
fn role(value: &Value) -> &'static str {
    match (value.kind.as_str(), value.name.as_str()) {
        ("const char *", _) => "text",
        ("char **", _) => "text_out",
        ("stent_error **", _) => "error_out",
        ("stent_event **", "events") => "handles_out",
        ("const uint32_t *", _) => "numbers",
        ("const stent_backend_vtable *", _) => "structure",
        ("void *", "user_data") => "user_data",
        ("void *", _) => "text_to_free",
        ("stent_free_fn", _) => "free_fn",
        (kind, _) if kind.ends_with("_fn") => "callback",
        (kind, _) if kind.starts_with("stent_") && kind.ends_with("**") => "handle_out",
        (kind, _) if kind.contains("stent_") && kind.ends_with('*') => "handle",
        (kind, _) if kind.ends_with('*') => "number_out",
        _ => "number",
    }
}

/// All of it, with the comments. Text that a function returns is not freed; a handle that one returns is the caller's.
pub fn json(items: &[Item]) -> String {
    let mut parts = [const { Vec::new() }; 6];
    for item in items {
        let (at, text) = match item {
            Item::Constant { name, value, doc } => {
                (0, format!("{{\"name\": {}, \"value\": {value}, \"doc\": {}}}", quoted(name), quoted(doc)))
            }
            Item::Alias { name, kind, doc } => {
                (1, format!("{{\"name\": {}, \"type\": {}, \"doc\": {}}}", quoted(name), quoted(kind), quoted(doc)))
            }
            Item::Handle { name, doc } => {
                let free = if items.iter().any(|item| frees(item, name)) {
                    quoted(&format!("{name}_free"))
                } else {
                    "null".to_owned()
                };
                (2, format!("{{\"name\": {}, \"free\": {free}, \"doc\": {}}}", quoted(name), quoted(doc)))
            }
            Item::Structure { name, fields, doc } => (3, structure_json(name, fields, doc)),
            Item::Callback { function } => (4, function_json(function)),
            Item::Function { function } => (5, function_json(function)),
        };
        parts[at].push(format!("    {text}"));
    }
    let names = ["constants", "aliases", "handles", "structures", "callbacks", "functions"];
    let members = names.iter().zip(parts).map(|(name, part)| format!("  \"{name}\": [\n{}\n  ]", part.join(",\n")));
    format!("{{\n{}\n}}\n", members.collect::<Vec<_>>().join(",\n"))
}

fn frees(item: &Item, handle: &str) -> bool {
    matches!(item, Item::Function { function } if function.name == format!("{handle}_free"))
}

fn structure_json(name: &str, fields: &[(Value, String)], doc: &str) -> String {
    let fields = fields.iter().map(|(field, doc)| {
        let (kind, name) = (quoted(&field.kind), quoted(&field.name));
        format!("{{\"name\": {name}, \"type\": {kind}, \"doc\": {}}}", quoted(doc))
    });
    let fields = fields.collect::<Vec<_>>().join(", ");
    format!("{{\"name\": {}, \"fields\": [{fields}], \"doc\": {}}}", quoted(name), quoted(doc))
}

fn function_json(function: &Function) -> String {
    let parameters = function.parameters.iter().map(|value| {
        let (name, kind) = (quoted(&value.name), quoted(&value.kind));
        format!("{{\"name\": {name}, \"type\": {kind}, \"role\": {}}}", quoted(role(value)))
    });
    format!(
        "{{\"name\": {}, \"returns\": {}, \"nodiscard\": {}, \"parameters\": [{}], \"doc\": {}}}",
        quoted(&function.name),
        quoted(&function.returns),
        function.nodiscard,
        parameters.collect::<Vec<_>>().join(", "),
        quoted(&function.doc)
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

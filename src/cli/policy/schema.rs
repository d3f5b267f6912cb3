//! `scopegate policy schema`: what the committed `policies/policy.schema.json` is made with.

use std::io::Write;

use crate::access::policy_text::written::{ceiling_schema, policy_schema};
use crate::cli::Exit;

/// Prints a schema.
pub fn run(ceiling: bool, out: &mut dyn Write) -> std::io::Result<Exit> {
    let schema = match ceiling {
        true => ceiling_schema(),
        false => policy_schema(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(std::io::Error::other)?;
    writeln!(out, "{text}")?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::policy_text::tree::{Located, Node, parse};

    fn printed(ceiling: bool) -> String {
        let mut out = Vec::new();
        run(ceiling, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json(node: &Located) -> serde_json::Value {
        match &node.node {
            Node::Null => serde_json::Value::Null,
            Node::Bool(value) => (*value).into(),
            Node::Number(text) => serde_json::from_str(text).unwrap(),
            Node::Text(text) => text.as_str().into(),
            Node::List(items) => items.iter().map(json).collect(),
            Node::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.name.clone(), json(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    fn accepts(schema: &str, yaml: &str) -> bool {
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        validator.is_valid(&json(&parse(yaml).unwrap()))
    }

    #[test]
    fn the_committed_schemas_are_the_generated_ones() {
        for (ceiling, name) in [(false, "policy.schema.json"), (true, "ceiling.schema.json")] {
            let path = format!("{}/policies/{name}", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(
                committed,
                printed(ceiling),
                "write it again: scopegate policy schema > policies/{name}"
            );
        }
    }

    #[test]
    fn the_schema_accepts_every_example() {
        let folder = format!("{}/policies", env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.ends_with(".yaml") || name.ends_with(".cases.yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(accepts(&printed(name == "_ceiling.yaml"), &text), "{name}");
            seen += 1;
        }
        assert!(seen >= 6);
    }

    #[test]
    fn the_schema_accepts_what_the_reader_accepts_and_refuses_what_it_refuses() {
        let head = "integration: t\nowner: t\nconnections: [a]\n";
        for (rest, sound) in [
            ("", true),
            (
                "description: d\nreview_by: 2027-01-01\nexpires: 2027-01-01\nmode: enforce\n",
                true,
            ),
            (
                "allow:\n  - scope: tickets\n    effects: [read]\n    objects: [tickets]\n    risks: [sends-message]\n    connections: [a, {app: b}]\n    id: x\n    reason: y\n    optional: true\n",
                true,
            ),
            ("allow:\n  - operation: crm.owners.list\n", true),
            ("deny:\n  - effects: [delete]\n", true),
            (
                "observe: {until: 2027-01-01, effects: [read], risks: [bulk-export]}\n",
                true,
            ),
            ("allow:\n  - effects: [read]\n", false),
            ("allow:\n  - scope: a\n    operation: b\n", false),
            ("allow:\n  - scope: []\n", false),
            ("deny:\n  - reason: none\n", false),
            ("deny:\n  - effects: [delete]\n    optional: true\n", false),
            ("deny:\n  - effects: [destroy]\n", false),
            ("observe: {effects: [read]}\n", false),
            ("observe: {until: 2027-01-01, effects: [irreversible]}\n", false),
            (
                "properties:\n  contacts: {read: [email], write: {except: ['*ssn*', a]}, values: {a: [x, 1, true], b: y}}\n  \"*\": all\n  deals: {}\non_extra_property: deny\nlimits: {batch: 50}\n",
                true,
            ),
            ("properties: all\n", false),
            ("properties: {contacts: [email]}\n", false),
            ("properties: {contacts: {read: email}}\n", false),
            ("properties: {contacts: {read: []}}\n", false),
            ("properties: {contacts: {read: ['e*']}}\n", false),
            ("properties: {contacts: {read: ['e mail']}}\n", false),
            ("properties: {contacts: {raed: all}}\n", false),
            ("properties: {contacts: {read: {}}}\n", false),
            ("properties: {contacts: {read: {except: []}}}\n", false),
            ("properties: {contacts: {write: all, values: {a: []}}}\n", false),
            (
                "properties: {contacts: {write: all, values: {'a*': [b]}}}\n",
                false,
            ),
            ("properties: {}\non_extra_property: drop\n", false),
            ("limits: {}\n", false),
            ("limits: {batch: 0}\n", false),
            ("limits: {requests: 50/10s, records_read: 5000/1h}\n", true),
            ("limits: {requests: 50}\n", false),
            ("limits: {records_deleted: 0/1h}\n", false),
            ("limits: {record_read: 5/1h}\n", false),
            (
                "installer_removed: read-only\ninstaller_lost_rights: block\n",
                true,
            ),
            ("installer_removed: ignore\n", false),
            ("installer_lost_rights: true\n", false),
            ("deny:\n  - effects: [delete]\n    properties: {}\n", false),
            ("expires: tomorrow\n", false),
            ("mode: observe\n", false),
            ("scopes: []\n", false),
        ] {
            let text = format!("{head}{rest}");
            assert_eq!(accepts(&printed(false), &text), sound, "schema: {rest}");
            let read = crate::access::policy_text::read::policy("t", &text);
            assert_eq!(read.mistakes.is_empty(), sound, "reader: {rest} {read:?}");
        }
        assert!(!accepts(&printed(false), "integration: t\nowner: t\n"));
        assert!(accepts(
            &printed(true),
            "allow: []\nproperties: {\"*\": {read: {except: [\"*ssn*\"]}}}\nobserve: never\nexpires_within: 400d\nrequire: [owner, review_by, expires]\n"
        ));
        assert!(!accepts(&printed(true), "observe: always\n"));
    }
}

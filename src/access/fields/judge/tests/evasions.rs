//! Ways round a rule that no single carrier shows: by an effect that is no write, by what is made
//! now and looked at later, by members that two readers take for different things.

use super::check;

/// Everything may be read, little written.
const READS_ALL: &str = "contacts read=all write=email; * read=all write=all";

/// Whoever may not write a property may not do away with it either, be it with its definition.
#[test]
fn what_is_not_writable_is_not_removed() {
    let batch = "POST /crm/v3/properties/contacts/batch/archive";
    check(&[
        (
            "DELETE /crm/v3/properties/contacts/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        ("DELETE /crm/v3/properties/contacts/email", "", READS_ALL, "same"),
        (
            "DELETE /crm/properties/2026-03/contacts/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            "DELETE /properties/v1/contacts/properties/named/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            "DELETE /properties/v2/contacts/properties/named/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            batch,
            r#"{"inputs":[{"name":"email"},{"name":"salary"}]}"#,
            READS_ALL,
            "deny property salary at /inputs/1/name",
        ),
        (batch, r#"{"inputs":[{"name":"email"}]}"#, READS_ALL, "same"),
        (
            "DELETE /contacts/v1/secondary-email/1/email/a@b",
            "",
            READS_ALL,
            "deny property hs_additional_emails at path",
        ),
        // Records are not properties.
        ("DELETE /crm/v3/objects/contacts/1", "", READS_ALL, "same"),
        (
            "POST /crm/v3/objects/contacts/batch/archive",
            r#"{"inputs":[{"id":"1"}]}"#,
            READS_ALL,
            "same",
        ),
    ]);
}

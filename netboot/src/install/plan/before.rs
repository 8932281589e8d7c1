//! Plans in the journal of the time when a plan had one disk → plans as they are now.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};

use super::Plan;

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut plan = Map::deserialize(deserializer)?;
        if let (Some(disk), false) = (plan.remove("disk"), plan.contains_key("disks")) {
            let partitions = plan.remove("partitions").unwrap_or_default();
            several(&mut plan, disk, partitions);
        }
        if !plan.contains_key("disks") {
            return Err(de::Error::missing_field("disks"));
        }
        Self::deserialize(Value::Object(plan)).map_err(de::Error::custom)
    }
}

/// The one disk had no name of its own: its partitions were labelled as those of `main` are now. What was run on it was
/// not written down, nor which other disks there were.
fn several(plan: &mut Map<String, Value>, disk: Value, partitions: Value) {
    let partitions = match partitions {
        Value::Array(partitions) => partitions,
        _ => Vec::new(),
    };
    let (mut laid, mut filesystems, mut mounts) = (Vec::new(), Vec::new(), Vec::new());
    for mut partition in partitions {
        let on = json!({"partition": {"disk": "main", "number": partition["number"]}});
        let format = partition["filesystem"].take();
        if !format.is_null() {
            filesystems.push(json!({"on": on, "format": format, "label": ""}));
            let at = partition["mountpoint"].take();
            if !at.is_null() {
                mounts.push(json!({"at": at, "device": on, "format": format}));
            }
        }
        partition["holds"] = match format {
            Value::Null => "".into(),
            format => format,
        };
        laid.push(partition);
    }
    // Those further up first.
    mounts.sort_by_key(|mount| mount["at"].as_str().map(str::len));
    let main = json!({"name": "main", "disk": disk, "partitions": laid});
    for (field, value) in [
        ("disks", json!([main])),
        ("filesystems", filesystems.into()),
        ("mounts", mounts.into()),
    ] {
        plan.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::event::{Event, Happening};
    use crate::machine::wipe_confirmation::Written;

    /// A line of the journal, as it was written by the first version that made plans.
    const BEFORE: &str = r#"{"seq":7,"at":"2026-04-02T10:14:12.000Z","machine":"52:54:00:12:34:56","what":{"event":"planned","plan":{"host_name":"node1","firmware":"uefi","disk":{"node":"vda","size":8589934592,"sector":512,"model":"","serial":"serial-vda","wwn":""},"destroys":["vda: gpt, 1.0 GiB"],"partitions":[{"number":1,"label":"disk-main-ESP","purpose":"esp","start":1048576,"size":536870912,"filesystem":"vfat","mountpoint":"/boot"},{"number":2,"label":"disk-main-root","purpose":"linux","start":537919488,"size":8050966528,"filesystem":"ext4","mountpoint":"/"}],"release":{"system":"worker","number":1,"toplevel":"/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-one","closure_size":1048576},"cache":{"url":"http://10.77.0.1:8080/cache","public_key":"k:AA=="}}}}"#;

    fn plan() -> Plan {
        let event: Event = serde_json::from_str(BEFORE).expect("reads");
        match event.what {
            Happening::Planned { plan } => *plan,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plan_of_one_disk_keeps_its_disk() {
        let plan = plan();
        let written = Written::by(&plan);
        assert_eq!(written.len(), 1, "what was wiped is known again");
        assert_eq!(written[0].disk.serial, "serial-vda");
        let labels: Vec<&str> = plan.disks[0]
            .partitions
            .iter()
            .map(|p| p.label.as_str())
            .collect();
        assert_eq!(labels, ["disk-main-ESP", "disk-main-root"]);
        let mounts: Vec<&str> = plan.mounts.iter().map(|m| m.at.as_str()).collect();
        assert_eq!(mounts, ["/", "/boot"]);
        assert_eq!(plan.filesystems.len(), 2);
        assert_eq!(plan.disks[0].partitions[0].holds, "vfat");
    }

    #[test]
    fn what_was_read_is_written_as_it_is_now_and_read_again() {
        let plan = plan();
        let json = serde_json::to_string(&plan).expect("writes");
        assert!(
            json.contains("\"disks\":[") && !json.contains("mountpoint"),
            "{json}"
        );
        let again: Plan = serde_json::from_str(&json).expect("reads");
        assert_eq!(again, plan);
    }

    #[test]
    fn a_plan_without_any_disk_is_none() {
        let json = BEFORE.replace("\"disk\":{", "\"disc\":{");
        let error = serde_json::from_str::<Event>(&json).expect_err("is none");
        assert!(
            error.to_string().contains("missing field `disks`"),
            "{error}"
        );
    }
}

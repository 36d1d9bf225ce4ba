//! Equipment from and to files of comma-separated values.

use tests::{Backend, Installation, Options, Value, assert_has, json, stories};

const PLANT: &str = "\
serial_number,name,type,location,parent,installation_date,attributes
HP-1,\"Press, the big one\",press,plant-1/line-1,,2021-03-15,\"{\"\"tonnage\"\": 250}\"
HP-1-P,Pumpe № 1 🐘,pump,plant-1/line-1,HP-1,,
";

/// Writes a file into the working directory.
fn file(installation: &Installation, name: &str, text: &str) {
    std::fs::write(installation.directory().join(name), text).unwrap();
}

stories! {
    async fn lines_become_equipment_and_the_bad_ones_are_told_by_their_numbers(backend: Backend) {
        let installation = Installation::new(backend).await;
        let bad = format!("{PLANT},,press,,,,\nHP-2,Press 2,press,plant//1,,2023-02-30,\nHP-3,Orphan,press,,HP-9,,\n");
        file(&installation, "plant.csv", &bad);
        let rehearsed = installation.run(&["import", "equipment", "plant.csv", "--dry-run"]).await;
        assert_eq!(rehearsed.status.code(), Some(1), "{rehearsed:?}");
        let imported = installation.run(&["import", "equipment", "plant.csv"]).await;
        assert_eq!(imported.status.code(), Some(1), "{imported:?}");
        assert!(imported.stdout.contains("2 created") && imported.stdout.contains("3 failed"), "{imported:?}");
        for told in ["line 4: name", "line 5: ", "location", "installation_date", "line 6: parent"] {
            assert!(imported.stderr.contains(told) && rehearsed.stderr.contains(told), "{told} in {imported:?}");
        }
        let server = installation.serve(Options::default()).await;
        let admin = server.admin().await;
        let list = admin.get("/api/equipment").await.expect(200);
        assert_eq!(list.column("name"), ["Press, the big one", "Pumpe № 1 🐘"]);
        let [press, pump] = [&list["results"][0], &list["results"][1]];
        assert_has(press, json!({"attributes": {"tonnage": 250}, "installation_date": "2021-03-15"}));
        assert_has(pump, json!({"parent": press["id"], "attributes": {}}));
        let trail = admin.get("/api/audit?action=equipment.created").await.expect(200);
        assert_eq!(trail.column("id").len(), 2, "an import leaves its trail");
    }

    async fn the_same_file_again_changes_nothing_and_another_one_what_it_names(backend: Backend) {
        let installation = Installation::new(backend).await;
        file(&installation, "plant.csv", PLANT);
        file(&installation, "names.csv", "serial_number,name,type\nhp-1,Press,press\n");
        for (name, expected) in [("plant.csv", "2 created"), ("plant.csv", "2 unchanged"), ("names.csv", "1 updated")] {
            let imported = installation.run(&["import", "equipment", name]).await;
            assert!(imported.status.success() && imported.stdout.contains(expected), "{imported:?}");
        }
        let server = installation.serve(Options::default()).await;
        let admin = server.admin().await;
        let press = admin.get("/api/equipment?serial_number=HP-1").await.expect(200)["results"][0].clone();
        assert_has(&press, json!({"name": "Press", "location": "plant-1/line-1", "version": 2}));
        assert_eq!(press["attributes"], json!({"tonnage": 250}));
    }

    async fn what_is_exported_is_the_same_after_an_import_elsewhere(backend: Backend) {
        let (here, there) = (Installation::new(backend).await, Installation::new(backend).await);
        file(&here, "plant.csv", PLANT);
        assert!(here.run(&["import", "equipment", "plant.csv"]).await.status.success());
        let exported = here.run(&["export", "equipment"]).await;
        assert!(exported.status.success(), "{exported:?}");
        let to_file = here.run(&["export", "equipment", "out.csv"]).await;
        assert!(to_file.status.success(), "{to_file:?}");
        assert_eq!(std::fs::read_to_string(here.directory().join("out.csv")).unwrap(), exported.stdout);
        file(&there, "plant.csv", &exported.stdout);
        assert!(there.run(&["import", "equipment", "plant.csv"]).await.status.success());
        assert_eq!(there.run(&["export", "equipment"]).await.stdout, exported.stdout);
    }

    async fn what_is_no_such_file_is_refused_in_words(backend: Backend) {
        let installation = Installation::new(backend).await;
        let files: [(&str, &[u8]); 4] = [
            ("empty.csv", b""), ("columns.csv", b"name,colour\nPress,red\n"),
            ("latin.csv", b"name,type\nPr\xe4sse,press\n"), ("twice.csv", b"name,type,name\nPress,press,Press\n"),
        ];
        for (name, bytes) in files {
            std::fs::write(installation.directory().join(name), bytes).unwrap();
            let refused = installation.run(&["import", "equipment", name]).await;
            assert_eq!(refused.status.code(), Some(1), "{refused:?}");
            assert!(refused.stderr.contains(name) && !refused.stderr.contains("panicked"), "{refused:?}");
        }
        let missing = installation.run(&["import", "equipment", "nowhere.csv"]).await;
        assert_eq!(missing.status.code(), Some(1), "{missing:?}");
        let server = installation.serve(Options::default()).await;
        assert_eq!(server.admin().await.get("/api/equipment").await.expect(200)["results"], Value::Array(Vec::new()));
    }
}

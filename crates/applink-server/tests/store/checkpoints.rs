//! SQLite's log is moved into its file while others write. Always on SQLite, whatever the other tests run on.

use std::path::Path;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_server::db::{Database, DatabaseUrl};
use sea_orm::ConnectionTrait as _;

/// More than bring the log into the file, and far fewer pages than make a commit do it.
const COMMITS: u32 = 300;

#[tokio::test]
async fn the_log_is_moved_into_the_file_before_a_commit_has_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("applink.db");
    let database = Database::open(&DatabaseUrl::sqlite(&path), Clock::system()).await.unwrap();
    database.writer().execute_unprepared("CREATE TABLE filler (content BLOB)").await.unwrap();
    let before = size(&path);
    for _ in 0..COMMITS {
        let transaction = database.begin().await.unwrap();
        transaction.execute_unprepared("INSERT INTO filler VALUES (randomblob(4000))").await.unwrap();
        transaction.commit().await.unwrap();
    }
    let moved = async {
        while size(&path) < before + 200 * 4096 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), moved).await.expect("the pages reach the file");
}

#[tokio::test]
async fn packing_leaves_no_log_behind_while_checkpoints_are_due() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("applink.db");
    let database = Database::open(&DatabaseUrl::sqlite(&path), Clock::system()).await.unwrap();
    for round in 0..4 {
        // The last of them wakes the task.
        for _ in 0..256 {
            database.begin().await.unwrap().commit().await.unwrap();
        }
        database.vacuum().await.unwrap();
        assert_eq!(size(&folder.path().join("applink.db-wal")), 0, "round {round}");
    }
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

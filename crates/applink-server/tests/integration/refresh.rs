//! Tokens are kept alive: their age is learnt, they are renewed ahead of need and exactly once, whatever gets lost on
//! the way, and what can't be renewed costs little.

#[path = "refresh/age.rs"]
mod age;
#[path = "refresh/child.rs"]
mod child;
#[path = "refresh/grants.rs"]
mod grants;
#[path = "refresh/keep_alive.rs"]
mod keep_alive;
#[path = "refresh/kept.rs"]
mod kept;
#[path = "refresh/limits.rs"]
mod limits;
#[path = "refresh/living.rs"]
mod living;
#[path = "refresh/model.rs"]
mod model;
#[path = "refresh/moved.rs"]
mod moved;
#[path = "refresh/processes.rs"]
mod processes;
#[path = "refresh/replay.rs"]
mod replay;
#[path = "refresh/schedules.rs"]
mod schedules;

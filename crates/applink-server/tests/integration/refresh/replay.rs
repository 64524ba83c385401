//! Promise 3 in the database: schedules of the model played on real servers on PostgreSQL, move by move, held between
//! the moves at pause points. After each move the row must be what the model says.

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_server::credentials::{self, Credential, Kind};
use applink_server::tokens::flights::Flight;
use applink_server::tokens::lease::{Effect, Event, LeaseState, step};
use applink_server::tokens::points::{Point, Points};
use applink_server::tokens::store;
use applink_server::{RunningServer, Server};
use applink_testkit::figures::{Figure, Tier, seed};
use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, oneshot};

use super::model::{Fate, Move, PROCESSES, Process, World};
use crate::fake_org::Reply;
use crate::stack::{Stack, seeded};

/// Moves of each schedule.
const MOVES: usize = 40;

/// Somebody stands at a point and waits to be let on, or to be killed.
type Held = (Point, oneshot::Sender<bool>);

/// A server whose renewals stop at the points.
struct Player {
    server: RunningServer,
    arrivals: mpsc::UnboundedReceiver<Held>,
    flight: Option<Flight>,
    held: Option<Held>,
}

impl Player {
    async fn start(stack: &Stack, number: u64) -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let time = stack.clock.clone();
        let mut config = Stack::config(&stack.backend, &stack.org, Clock::from_fn(move || time.now()));
        config.entropy = seeded(5000 + number);
        config.points = Points::hook(move |point, _| {
            let arrived = arrived.clone();
            Box::pin(async move {
                if !matches!(point, Point::Wanting | Point::Sending | Point::Answered) {
                    return;
                }
                let (let_on, told) = oneshot::channel::<bool>();
                arrived.send((point, let_on)).expect("somebody plays");
                if !told.await.expect("somebody plays") {
                    // Killed: nothing after this point happens.
                    std::panic::resume_unwind(Box::new("killed"));
                }
            })
        });
        let server = Server::start(config).await.expect("a server");
        Self { server, arrivals, flight: None, held: None }
    }

    /// Until the renewal stands at a point, or has ended.
    async fn come_to_rest(&mut self) {
        let Some(flight) = self.flight.take() else { return };
        let mut waiting = Box::pin(flight.clone().wait());
        tokio::select! {
            held = self.arrivals.recv() => {
                self.held = held;
                drop(waiting);
                self.flight = Some(flight);
            }
            _ = &mut waiting => {}
        }
    }

    async fn go_on(&mut self, from: Point) {
        let (point, let_on) = self.held.take().expect("held");
        assert_eq!(point, from);
        let_on.send(true).expect("it waits");
        self.come_to_rest().await;
    }

    async fn kill(&mut self) {
        if let Some((_, let_on)) = self.held.take() {
            let_on.send(false).expect("it waits");
        }
        if let Some(flight) = self.flight.take() {
            // A task that ended without a word is taken for an end.
            flight.wait().await.expect("an end");
        }
    }
}

struct Replay<'a> {
    stack: &'a Stack,
    players: &'a mut [Player],
    credential: Credential,
}

impl Replay<'_> {
    async fn grant(&self) -> Option<store::Model> {
        let reader = self.stack.server.app().store.reader();
        store::live(reader, self.credential.addon, self.credential.id).await.expect("a query")
    }

    async fn play(&mut self, next: Move) {
        match next {
            Move::Look(process) => self.look(process, false).await,
            Move::Reject(process) => self.look(process, true).await,
            Move::Claim(process) => self.players[process].go_on(Point::Wanting).await,
            Move::Send(process, fate) => {
                // Nothing is left from a request that was not sent.
                self.stack.org.script().replies = reply(fate).into_iter().collect();
                self.players[process].go_on(Point::Sending).await;
            }
            Move::Record(process) | Move::RecordTwice(process) => {
                self.players[process].go_on(Point::Answered).await;
            }
            Move::Crash(process) => self.players[process].kill().await,
            Move::Wait(seconds) => self.stack.advance(seconds),
        }
    }

    /// As a hand-out does, but one that goes away once the renewal has begun.
    async fn look(&mut self, process: usize, rejects: bool) {
        let Some(grant) = self.grant().await else { return };
        let (now, rejected) = (self.stack.clock.now(), rejects.then_some(grant.token_version));
        let effect = step(&grant.lease().expect("a state"), Event::Wanted { now, rejected }).1;
        if matches!(effect, Effect::Renew | Effect::HandOutAndRenew) {
            let player = &mut self.players[process];
            let app = player.server.app().clone();
            let rejected = rejected.filter(|_| effect == Effect::Renew);
            player.flight = Some(app.flights.start(&app, &grant, rejected));
            player.come_to_rest().await;
        }
    }

    /// The row is what the model says. Pauses are stretched by chance, so theirs is taken over.
    async fn compare(&self, world: &mut World) -> Result<(), String> {
        let Some(grant) = self.grant().await else {
            return if world.row.dead { Ok(()) } else { Err("the row is gone".to_owned()) };
        };
        let found = grant.lease().expect("a state");
        let pause = |state: &LeaseState| state.not_before.map(|until| until.since(world.now).as_secs());
        if let (Some(ours), Some(theirs)) = (pause(&world.row), pause(&found))
            && !(ours..=ours + ours / 4 + 1).contains(&theirs)
        {
            return Err(format!("a pause of {theirs} s instead of {ours} s"));
        }
        if world.row.not_before.is_some() == found.not_before.is_some() {
            world.row.not_before = found.not_before;
        }
        // The database's clock runs on while the tests' stands still.
        let comparable = |state: &LeaseState| LeaseState { leased_until: None, ..state.clone() };
        let leased = |state: &LeaseState| state.leased_until.is_some();
        if comparable(&world.row) != comparable(&found) || leased(&world.row) != leased(&found) {
            return Err(format!("{found:?} instead of {:?}", world.row));
        }
        let (good, expected) = (self.has_good_refresh_token(&grant).await, world.has_good_refresh_token());
        if good != expected {
            return Err(format!("the org takes the row's refresh token: {good} instead of {expected}"));
        }
        Ok(())
    }

    async fn has_good_refresh_token(&self, grant: &store::Model) -> bool {
        let sealed = grant.refresh_token.as_ref().expect("a refresh token");
        let vault = &self.stack.server.app().vault;
        let token = vault.open_sealed(grant.place("refresh_token"), sealed).await.expect("it opens");
        self.stack.org.script().takes_refresh_token(token.expose_secret())
    }

    /// Ends what is under way and removes the authorization.
    async fn clean_up(self) {
        for player in self.players {
            player.kill().await;
        }
        let app = self.stack.server.app();
        let tx = app.store.begin().await.expect("a transaction");
        store::erase_all(&*tx, self.credential.id).await.expect("a delete");
        credentials::store::delete(&*tx, self.credential.addon, self.credential.id).await.expect("a delete");
        tx.commit().await.expect("a commit");
    }
}

fn reply(fate: Fate) -> Option<Reply> {
    match fate {
        Fate::Answered => None,
        Fate::AnswerLost => Some(Reply::LoseAnswer),
        Fate::RequestLost => Some(Reply::Fail),
        Fate::Busy => Some(Reply::Refuse("invalid_request", "token request is already being processed")),
        Fate::Refused => Some(Reply::Refuse("inactive_user", "user is inactive")),
    }
}

/// Plays one schedule; the moves that were made, and what went wrong.
async fn replay(stack: &Stack, players: &mut [Player], seed: u64) -> Result<World, String> {
    let chance: Entropy = seeded(seed);
    let rotates = chance.below(4) > 0;
    {
        let mut script = stack.org.script();
        script.rotate = rotates;
        script.replies.clear();
    }
    let name = format!("w{seed}");
    stack.authorize(&name).await;
    let reader = stack.server.app().store.reader();
    let found = credentials::store::find(reader, stack.tenant.addon, Kind::Authorization, &name).await;
    let credential = found.expect("a query").expect("the authorization");
    let mut world = World::new(rotates);
    (world.now, world.row.issued_at) = (stack.clock.now(), stack.clock.now());
    world.row.expires_at = world.now.plus(super::model::LIFETIME);
    let mut replay = Replay { stack, players, credential };
    let mut moves = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..MOVES {
        let next = world.choose(&chance);
        moves.push(next);
        let before = world.processes.clone();
        world.play(next);
        replay.play(next).await;
        outcome = replay.compare(&mut world).await;
        for (process, player) in replay.players.iter().enumerate() {
            let at = player.held.as_ref().map(|(point, _)| *point);
            let expected = match &world.processes[process] {
                Process::Idle => None,
                Process::Looked { .. } => Some(Point::Wanting),
                Process::Holding(_) => Some(Point::Sending),
                Process::Back { .. } => Some(Point::Answered),
            };
            if at != expected && outcome.is_ok() {
                outcome =
                    Err(format!("process {process} is at {at:?} instead of {expected:?} after {before:?}"));
            }
        }
        if outcome.is_err() {
            break;
        }
    }
    replay.clean_up().await;
    outcome.map(|()| world).map_err(|what| format!("seed {seed}: {what} after {moves:?}"))
}

#[tokio::test]
async fn the_database_follows_the_model_move_by_move() {
    let stack = Stack::start().await;
    if stack.backend.is_sqlite {
        // There is only ever one process.
        return;
    }
    stack.org.script().clock = Some(stack.clock.clone());
    let schedules = Tier::current().pick(60, 200);
    let mut players = Vec::new();
    for number in 0..PROCESSES {
        players.push(Player::start(&stack, number as u64).await);
    }
    let mut total = super::model::Counts::default();
    for number in 0..schedules {
        let world = replay(&stack, &mut players, seed() * 1000 + number).await;
        total.add(world.unwrap_or_else(|what| panic!("{what}")).counts);
    }
    let harmful = stack.org.script().harmful_replays;
    Figure {
        promise: "3",
        what: format!("{schedules} of these schedules on three servers on PostgreSQL, held at pause points"),
        measured: format!(
            "{} lost updates, {harmful} harmful replays, every row as the model says ({} last chances, {} deaths)",
            total.lost_updates, total.last_chances, total.deaths
        ),
        promised: "0 and 0".to_owned(),
        kept: total.broken() == 0 && harmful == 0,
        seed: Some(seed()),
    }
    .report();
}

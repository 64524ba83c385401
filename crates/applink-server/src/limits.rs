//! How often somebody may call.
//!
//! | who | counted per | default |
//! |---|---|---|
//! | management calls: lists, records, changes | add-on | 4,500 an hour |
//! | run time: token hand-out, the mesh | add-on | 600 a second |
//! | operators | key | as management |
//! | the browser's way to an org and back | network address | 120 a minute |
//!
//! A call counts for an add-on only once its credentials are known to be good: nobody can use up another's calls.
//! Each is a bucket that holds as many calls as the limit says and fills up again evenly. Buckets are in memory: of
//! several processes each counts what it serves itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;

/// More buckets than this are not kept; who comes then shares one.
const MOST_BUCKETS: usize = 50_000;

/// The limits; 0 is none.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Management calls an hour, per add-on, and per operator.
    pub management_per_hour: u32,
    /// Token hand-outs and calls of the mesh a second, per add-on.
    pub run_time_per_second: u32,
    /// Steps of a log-in a minute, per network address.
    pub log_in_per_minute: u32,
    /// Whether the last entry of `x-forwarded-for` is the caller's address: behind a router that appends it.
    pub forwarded_for: bool,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            management_per_hour: 4500,
            run_time_per_second: 600,
            log_in_per_minute: 120,
            forwarded_for: false,
        }
    }
}

impl LimitsConfig {
    fn rate(&self, who: &Who) -> Option<Rate> {
        let (calls, per) = match who {
            Who::Management(_) | Who::Operator(_) => (self.management_per_hour, 3600),
            Who::RunTime(_) => (self.run_time_per_second, 1),
            Who::LogIn(_) | Who::Anybody => (self.log_in_per_minute, 60),
        };
        (calls > 0).then_some(Rate { calls, per: Duration::from_secs(per) })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    calls: u32,
    per: Duration,
}

impl Rate {
    /// Microseconds one call takes to come back.
    fn interval(self) -> u64 {
        let micros = u64::try_from(self.per.as_micros()).unwrap_or(u64::MAX);
        (micros / u64::from(self.calls)).max(1)
    }
}

/// Whose calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Management of an add-on.
    Management(AddonId),
    /// An add-on's apps at run time.
    RunTime(AddonId),
    /// An operator.
    Operator(String),
    /// A browser, by network address.
    LogIn(IpAddr),
    /// All who came when there were too many to tell apart.
    Anybody,
}

impl Who {
    /// A browser at an address. Whoever has an IPv6 address usually has its whole /64.
    pub fn log_in(address: IpAddr) -> Self {
        Self::LogIn(match address {
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(mapped) => IpAddr::V4(mapped),
                None => {
                    let [a, b, c, d, ..] = address.segments();
                    IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
                }
            },
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// How much is left, for the answer's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Calls a full bucket holds.
    pub limit: u32,
    /// Calls that are left.
    pub remaining: u32,
    /// Until the bucket is full again.
    pub reset: Duration,
    /// Until there is a call again, when this one was too many.
    pub retry_after: Option<Duration>,
}

/// Every bucket.
#[derive(Debug, Default)]
pub struct Limiter {
    /// When each bucket is full again. What is not here is full.
    full_at: Mutex<HashMap<Who, Timestamp>>,
}

impl Limiter {
    /// Counts a call. `None` when there is no limit.
    pub fn count(&self, limits: &LimitsConfig, who: Who, now: Timestamp) -> Option<Reading> {
        let rate = limits.rate(&who)?;
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&who) {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let who =
            if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&who) { Who::Anybody } else { who };
        let full_at = buckets.get(&who).copied().unwrap_or(now).max(now);
        let (next, reading) = take(rate, full_at, now);
        buckets.insert(who, next);
        Some(reading)
    }
}

/// Takes a call out of a bucket that would be full at `full_at`. A call too many takes nothing.
fn take(rate: Rate, full_at: Timestamp, now: Timestamp) -> (Timestamp, Reading) {
    let interval = Duration::from_micros(rate.interval());
    let holds = interval * rate.calls;
    let after = full_at.plus(interval);
    let missing = after.since(now);
    if missing > holds {
        let reset = full_at.since(now);
        let wait = missing.saturating_sub(holds);
        return (full_at, Reading { limit: rate.calls, remaining: 0, reset, retry_after: Some(wait) });
    }
    let left = holds.saturating_sub(missing).as_micros() / interval.as_micros().max(1);
    let remaining = u32::try_from(left).unwrap_or(u32::MAX);
    (after, Reading { limit: rate.calls, remaining, reset: missing, retry_after: None })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn limits() -> LimitsConfig {
        LimitsConfig { management_per_hour: 3, ..LimitsConfig::default() }
    }

    #[test]
    fn a_bucket_empties_and_fills_up_evenly() {
        let (limiter, limits) = (Limiter::default(), limits());
        let who = || Who::Management(Uuid::nil().into());
        let left: Vec<u32> = (0..3).map(|_| limiter.count(&limits, who(), NOW).unwrap().remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = limiter.count(&limits, who(), NOW).unwrap();
        assert_eq!((refused.remaining, refused.retry_after), (0, Some(Duration::from_secs(1200))));
        assert_eq!(refused.reset, Duration::from_secs(3600));
        let later = NOW.plus(Duration::from_secs(1200));
        assert_eq!(limiter.count(&limits, who(), later).unwrap().retry_after, None);
        assert!(limiter.count(&limits, who(), later).unwrap().retry_after.is_some());
        let other = limiter.count(&limits, Who::RunTime(Uuid::nil().into()), NOW).unwrap();
        assert_eq!((other.limit, other.remaining), (600, 599));
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = LimitsConfig { management_per_hour: 0, ..limits() };
        assert_eq!(Limiter::default().count(&limits, Who::Management(Uuid::nil().into()), NOW), None);
    }

    #[test]
    fn a_flood_of_addresses_shares_one_bucket() {
        let (limiter, limits) = (Limiter::default(), LimitsConfig::default());
        for number in 0..u32::try_from(MOST_BUCKETS).unwrap() + 120 {
            limiter.count(&limits, Who::log_in(IpAddr::from(number.to_be_bytes())), NOW);
        }
        assert!(limiter.full_at.lock().unwrap().len() <= MOST_BUCKETS + 1);
        let late = limiter.count(&limits, Who::log_in(IpAddr::from([9, 9, 9, 9])), NOW).unwrap();
        assert!(late.retry_after.is_some());
        let later = NOW.plus(Duration::from_secs(3600));
        let free = limiter.count(&limits, Who::log_in(IpAddr::from([9, 9, 9, 9])), later).unwrap();
        assert_eq!(free.remaining, 119);
    }

    #[test]
    fn neighbours_in_a_64_are_one() {
        let address = |text: &str| Who::log_in(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }

    proptest::proptest! {
        #[test]
        fn never_more_than_the_limit_in_a_window(gaps in proptest::collection::vec(0u64..2_000_000, 1..200)) {
            let (limiter, limits) =
                (Limiter::default(), LimitsConfig { log_in_per_minute: 7, ..LimitsConfig::default() });
            let (mut now, mut taken) = (NOW, Vec::new());
            for gap in gaps {
                now = now.plus(Duration::from_micros(gap));
                let reading = limiter.count(&limits, Who::log_in(IpAddr::from([1, 1, 1, 1])), now).unwrap();
                if reading.retry_after.is_none() {
                    taken.push(now);
                }
            }
            // A full bucket, and what came back during the window.
            for start in &taken {
                let end = start.plus(Duration::from_secs(60));
                proptest::prop_assert!(taken.iter().filter(|at| *at >= start && **at < end).count() <= 14);
            }
        }
    }
}

//! The map: apps on the left, the add-on in the middle, orgs on the right, with the state of each line between them.

use askama::Template;

/// The drawing's width in its own units.
const WIDTH: u32 = 640;
/// From one box to the next below.
const STEP: u32 = 46;
/// A box's height.
const BOX: u32 = 34;
/// A box's width.
const BOX_WIDTH: u32 = 180;
/// Characters of a name that fit into a box.
const FITTING: usize = 22;
/// Boxes on one side; more are counted.
pub const MOST: usize = 20;

/// Rows of the table.
const LISTED: usize = 50;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Good,
    /// It is on its way, or was never used.
    Waiting,
    /// It does not work.
    Bad,
}

impl Health {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Bad => "bad",
        }
    }

    /// Said in words too: colours alone tell not everybody.
    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Waiting => "…",
            Self::Bad => "!",
        }
    }
}

/// A thing at either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// A second line: an org's id, a URL.
    pub detail: String,
    /// How it is.
    pub health: Health,
    /// That in words: `connected`.
    pub state: String,
}

/// The things at one side: some of them, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Those that are drawn or listed.
    pub nodes: Vec<Node>,
    /// All.
    pub total: usize,
    /// Those that do not work.
    pub bad: usize,
}

impl Side {
    /// When all are there.
    pub fn of(nodes: Vec<Node>) -> Self {
        let bad = nodes.iter().filter(|node| node.health == Health::Bad).count();
        Self { total: nodes.len(), bad, nodes }
    }
}

/// The drawn map.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(path = "dashboard/map.html")]
pub struct Map {
    addon: Placed,
    apps: Vec<Placed>,
    orgs: Vec<Placed>,
    more: [usize; 2],
    width: u32,
    height: u32,
    summary: String,
    /// Not even in the table.
    unlisted: usize,
    /// For the table below the drawing.
    rows: Vec<(&'static str, Node)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    x: u32,
    y: u32,
    /// Where its line to the add-on begins and ends.
    line: [(u32, u32); 2],
    /// As much of the name as fits.
    shown: String,
    detail: String,
    title: String,
    class: &'static str,
    sign: &'static str,
}

/// Its template escapes what it holds.
impl askama::filters::HtmlSafe for Map {}

impl Map {
    /// Draws it.
    pub fn of(addon: &str, apps: Side, orgs: Side) -> Self {
        let (counts, bad) = ([apps.total, orgs.total], apps.bad + orgs.bad);
        let (apps, orgs) = (apps.nodes, orgs.nodes);
        let rows = apps.len().max(orgs.len()).clamp(1, MOST);
        let height = number(rows) * STEP + 12;
        let middle = height / 2;
        let [all_apps, all_orgs] = counts;
        let summary = format!(
            "{all_apps} apps and {all_orgs} orgs around the add-on {addon}; {bad} of them do not work. The table below lists them."
        );
        let more = counts.map(|count| count.saturating_sub(MOST));
        let side = |nodes: &[Node], x: u32, line_x: [u32; 2]| -> Vec<Placed> {
            let shown = nodes.len().min(MOST);
            let top = (height - number(shown) * STEP) / 2;
            let placed = nodes.iter().take(MOST).enumerate().map(|(index, node)| {
                let y = top + number(index) * STEP + (STEP - BOX) / 2;
                let line = [(line_x[0], y + BOX / 2), (line_x[1], middle)];
                place(node, (x, y), line)
            });
            placed.collect()
        };
        let centre = (WIDTH - BOX_WIDTH) / 2;
        let placed_apps = side(&apps, 0, [BOX_WIDTH, centre]);
        let placed_orgs = side(&orgs, WIDTH - BOX_WIDTH, [WIDTH - BOX_WIDTH, centre + BOX_WIDTH]);
        let hub = Node {
            name: addon.to_owned(),
            detail: String::new(),
            health: Health::Good,
            state: String::new(),
        };
        let listed = apps.into_iter().map(|app| ("App", app)).chain(orgs.into_iter().map(|org| ("Org", org)));
        let listed: Vec<_> = listed.take(LISTED).collect();
        Self {
            addon: place(&hub, (centre, middle - BOX / 2), [(0, 0); 2]),
            apps: placed_apps,
            orgs: placed_orgs,
            more,
            width: WIDTH,
            height,
            summary,
            unlisted: (all_apps + all_orgs).saturating_sub(listed.len()),
            rows: listed,
        }
    }
}

fn place(node: &Node, (x, y): (u32, u32), line: [(u32, u32); 2]) -> Placed {
    Placed {
        x,
        y,
        line,
        shown: cut(&node.name),
        detail: cut(&node.detail),
        title: format!("{}: {}", node.name, node.state),
        class: node.health.class(),
        sign: node.health.sign(),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= FITTING {
        return text.to_owned();
    }
    text.chars().take(FITTING - 1).chain(['…']).collect()
}

/// Counts here are small.
fn number(count: usize) -> u32 {
    u32::try_from(count.min(MOST)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize, health: Health) -> Side {
        let nodes = (0..count)
            .map(|number| Node {
                name: format!("<script>{number}"),
                detail: "00D000000000001AAA".to_owned(),
                health,
                state: "connected".to_owned(),
            })
            .collect();
        Side::of(nodes)
    }

    #[test]
    fn names_are_text_and_states_are_words_too() {
        let html = Map::of("<addon>", nodes(1, Health::Good), nodes(2, Health::Bad)).render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<addon>"), "{html}");
        assert!(html.contains("1 apps and 2 orgs") && html.contains("2 of them do not work"), "{html}");
        assert!(html.contains("connected") && html.contains("map-bad") && !html.contains("style="), "{html}");
    }

    proptest::proptest! {
        #[test]
        fn every_box_stays_within_the_drawing(apps in 0_usize..60, orgs in 0_usize..60) {
            let map = Map::of("addon", nodes(apps, Health::Good), nodes(orgs, Health::Waiting));
            for placed in map.apps.iter().chain(&map.orgs).chain([&map.addon]) {
                proptest::prop_assert!(placed.x + BOX_WIDTH <= WIDTH && placed.y + BOX <= map.height);
            }
            proptest::prop_assert_eq!(map.apps.len() + map.more[0], apps);
            proptest::prop_assert_eq!(map.rows.len() + map.unlisted, apps + orgs);
            proptest::prop_assert!(map.rows.len() <= LISTED);
        }
    }
}

//! Publishing by separate processes, as they run in the world: the real binary as control plane and as CLI, a simulated
//! org, and between the two a proxy that knows every call.

#[cfg(test)]
mod publish {
    mod killed;
    mod lifecycle;
    mod stack;
}

import LockdModel

/// What is done while nobody waits.
extension BlockingShell {
    /// Sees to it that what is to be done later is done, although nobody waits.
    func callKeeper(_ state: inout State) -> [Effect] {
        let isNeeded = Self.needsKeeper(state)
        guard let keeper = state.keeper else {
            if !isNeeded { return [] }
            state.keeper = Keeper()
            return [.startKeeper]
        }
        // One that is not needed is woken to end.
        guard let sleep = keeper.sleep,
            !isNeeded || Self.isUnsettled(state) || state.core.nextInstant ?? .distantFuture < sleep
        else { return [] }
        state.keeper?.sleep = nil
        return [.wake(keeper.sleeper)]
    }

    private static func needsKeeper(_ state: State) -> Bool {
        !state.core.isOver && (state.core.nextInstant != nil || isUnsettled(state))
    }

    /// Whether there is something to be read or connected for, whoever does it.
    private static func isUnsettled(_ state: State) -> Bool {
        state.attempt != nil || !state.core.outstanding.isEmpty || state.core.isClosing
    }

    func keep() {
        let id = state.withLock { $0.core.makeRequestID() }
        while let (step, sleeper, deadline) = state.withLock({ keeperStep(id, &$0) }) {
            if let step {
                perform(step)
            } else {
                sleeper.sleep(until: deadline)
            }
            change { state in
                state.keeper?.sleep = nil
                let isDue = state.core.nextInstant.map { $0 <= .now() } ?? false
                let effects = isDue ? self.effects(of: .timePassed, &state) : []
                return effects + self.passOn(from: id, &state)
            }
        }
    }

    /// What the keeper does: lead, or else sleep until there is something to do; `nil` if it is not needed.
    private func keeperStep(_ id: RequestID, _ state: inout State) -> (Step?, Sleeper, MonotonicInstant?)? {
        guard let keeper = state.keeper, Self.needsKeeper(state) else {
            state.keeper = nil
            return nil
        }
        // Whoever waits reads for itself.
        let mayLead = state.leader == nil && Self.nextLeader(state) == nil
        if mayLead, Self.isUnsettled(state) || state.connection == nil {
            state.leader = id
            return (nextStep(until: nil, &state), keeper.sleeper, nil)
        }
        let deadline = state.core.nextInstant
        state.keeper?.sleep = deadline ?? .distantFuture
        return (nil, keeper.sleeper, deadline)
    }
}

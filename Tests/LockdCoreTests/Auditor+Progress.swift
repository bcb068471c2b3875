import LockdCore
import LockdModel

/// What an auditor expects of the reports on waits.
extension Auditor {
    /// What a request that waits was told last.
    struct Report: Equatable {
        var position: Int
        var obstacle: LockName
        var holder: FencingToken?
    }

    mutating func queued(_ id: RequestID, _ names: LockNames, _ queueing: Queueing) throws(Complaint) {
        if case .acquireRequested(let request) = event, request.id == id, asking == id {
            // It begins to wait, and is told so at once.
            try require(request.progress != nil && request.names == names, "QUEUED unasked")
            firstReport = queueing
            return
        }
        try require(event == .progressDue, "QUEUED after \(event)")
        try require(clients[id.session]?.detachedAt == nil, "QUEUED to nobody")
        let told = waits.values.filter { $0.request.id == id && $0.names == names && $0.request.progress != nil }
        let wait = told.min { ($0.toldAt ?? now, $0.number) < ($1.toldAt ?? now, $1.number) }
        guard let wait, let interval = wait.request.progress else {
            throw Complaint("QUEUED to \(id), which does not want it")
        }
        try require(wait.toldAt.map { $0 + interval <= now } ?? true, "QUEUED too soon")
        try note(queueing, of: wait)
    }

    /// Notes what a request was told that waits now.
    mutating func noteFirstReport(of number: Int) throws(Complaint) {
        guard let wait = waits[number], wait.request.progress != nil else { return }
        guard let report = firstReport else { throw Complaint("a request is not told that it waits") }
        firstReport = nil
        try note(report, of: wait)
    }

    private mutating func note(_ queueing: Queueing, of wait: Wait) throws(Complaint) {
        let report = report(of: wait)
        let isCertain = silentCount == 0 && silent.isEmpty
        if isCertain {
            try require(queueing.position == report.position, "at \(report.position), not \(queueing.position)")
            let obstacle = wait.names.count > 1 ? report.obstacle : nil
            try require(queueing.obstacle == obstacle, "\(report.obstacle) is in the way")
            try require(wait.told != report, "QUEUED, and nothing has changed")
            try requireSituation([report.obstacle], queueing.holder, queueing.waiterCount)
        }
        waits[wait.number]?.toldAt = now
        waits[wait.number]?.told = isCertain ? report : nil
    }

    private func report(of wait: Wait) -> Report {
        let obstacle = wait.names.first { name in
            accounts[name]?.queue.first != wait.number || accounts[name]?.admits(wait.request.holderLimit) != true
        }
        let name = obstacle ?? wait.names.first
        let position = (accounts[name]?.queue.firstIndex(of: wait.number) ?? -1) + 1
        return Report(position: position, obstacle: name, holder: accounts[name]?.holders.first?.token)
    }

    /// Whoever wants to be told of what has changed will be, no later than it may be.
    func observe(nextProgress: MonotonicInstant?) throws(Complaint) {
        guard silentCount == 0, silent.isEmpty else { return }
        for wait in waits.values {
            guard let interval = wait.request.progress, clients[wait.request.id.session]?.detachedAt == nil else {
                continue
            }
            if wait.toldAt != nil, wait.told == nil || wait.told == report(of: wait) { continue }
            let due = wait.toldAt.map { max(now, $0 + interval) } ?? now
            try require(nextProgress.map { $0 <= due } ?? false, "\(wait.request.id) is not told what has changed")
        }
    }
}

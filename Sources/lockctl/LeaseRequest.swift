import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// One request for a lease, and what is said of it.
struct LeaseRequest {
    let terms: AcquireTerms
    let report: LeaseReport
    /// The exit code if the lease is not to be had.
    let notAcquired: ExitCode

    /// Asks for the lease, and returns its token when it is granted.
    ///
    /// - Throws: the exit code, if it is not, after it was said why.
    func grant(with attachment: CInt? = nil, on connection: ResumingConnection) throws -> FencingToken {
        var wait = WaitReport(report)
        defer { wait.end() }
        var edges: [Reply.EdgeLine] = []
        do {
            let reply = try connection.ask(.acquire(terms), with: attachment) { aside in
                switch aside {
                case .queued(_, let position, let on, let holder, let waiterCount):
                    wait.update(position: position, on: on, holder: holder, waiterCount: waiterCount)
                // No daemon says more of it; what a broken one says is not collected. After a restart some may come again.
                case .edge(let edge) where edges.count < ProtocolLimits.pageLineCount && !edges.contains(edge):
                    edges.append(edge)
                default: break
                }
            }
            wait.end()
            return try token(from: reply, edges)
        } catch let absence as ResumingConnection.Absence where absence.isWaitOver {
            wait.end()
            let sentence = "\(terms.names.display) \(terms.names.areOrIs) not acquired: \(absence)"
            report.notAcquired("unavailable", sentence)
            throw notAcquired
        }
    }

    private func token(from reply: Reply, _ edges: [Reply.EdgeLine]) throws -> FencingToken {
        let names = report.names
        switch reply {
        case .granted(_, let token, _, let predecessor):
            if case .abandoned(let abandonment) = predecessor { report.follows(abandonment) }
            report.granted(token)
            return token
        case .busy(_, let holder, let count):
            let sentence = "\(names.display) \(names.areOrIs) not free: \(Situation.words(holder, count))"
            report.notAcquired("busy", sentence, holder, waiters: count)
            throw notAcquired
        case .timedOut(_, let waited, let holder, let count):
            let sentence = "waited \(waited.display) for \(names.display): \(Situation.words(holder, count))"
            report.notAcquired("timeout", sentence, holder, waiters: count)
            throw notAcquired
        case .cancelled:
            let end = "what the lease was to be bound to has ended"
            report.notAcquired("cancelled", "\(names.display) \(names.areOrIs) not acquired: \(end)")
            throw notAcquired
        case .deadlock:
            let lines = Situation.deadlock(names, edges)
            if report.form == .json {
                report.notAcquired("deadlock", lines.joined(separator: "\n"))
            } else {
                for line in lines { complain(line) }
            }
            throw Ending.deadlock
        case .error(let error): throw Refused(error)
        default: throw Unexpected(reply)
        }
    }
}

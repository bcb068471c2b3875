import LockdModel
import LockdWire

/// The session: how it begins, and how it is resumed on the next connection.
extension ClientCore {
    /// Says something at once, whatever else waits to be said.
    mutating func say(_ request: Request, _ purpose: Outstanding.Purpose, _ now: MonotonicInstant) {
        let id = makeRequestID()
        outstanding[id] = Outstanding(purpose: purpose, request: request, descriptor: nil, askedAt: now)
        write(id, now)
    }

    /// The daemon has said which session this is.
    mutating func welcomed(_ welcome: Reply.Welcome, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        guard case .greeting(let id) = connection else { return }
        let isResumed = welcome.isResumption(of: session)
        if closers != nil {
            guard isResumed else { return closed(id, &actions) }
            absence = nil
            closersGiveUp = nil
            return quit(id)
        }
        if isResumed {
            connection = .resuming(id)
            return say(.ping, .barrier, now)
        }
        if session != nil { forgetSession(&actions) }
        session = welcome.session
        begin(id, now)
    }

    /// Says whatever is still to be answered, the oldest first, perhaps for the second time.
    ///
    /// What had been done of it before the connection was lost is answered by now, and is not said again.
    mutating func begin(_ id: ConnectionID, _ now: MonotonicInstant) {
        connection = .connected(id)
        absence = nil
        connectedAt = now
        for id in outstanding.keys.sorted() {
            if case .over = outstanding[id]?.purpose {
                send(.cancel(id.tag), .cancel(id), now)
            } else {
                write(id, now)
            }
        }
        renewAll(now)
    }

    /// The daemon knows nothing of the session before: what was held is lost, and what waited waits anew.
    private mutating func forgetSession(_ actions: inout [ClientAction]) {
        for token in leases.keys.sorted() { endLease(token, .lost(.forgotten), &actions) }
        for (id, request) in outstanding {
            if request.endsWithSession {
                outstanding[id] = nil
            } else if case .change = request.purpose {
                // Bound leases belong to no session, so that one may have ended or been renewed before.
            } else {
                outstanding[id]?.isSent = false
            }
        }
    }

    /// The daemon does not take the session.
    mutating func refused(_ error: WireError, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        let refusal = LockdClientError.refused(error, names: nil)
        // There may be room later, and until then nothing is lost.
        guard error.isTransient, session != nil, case .greeting(let id) = connection else {
            return breakOff(refusal, &actions)
        }
        actions.append(.shutDown(id))
        detach(refusal, now, &actions)
    }
}

extension Reply.Welcome {
    /// Whether the session is `session` still.
    ///
    /// A daemon that begins without a record counts its sessions from the beginning, so the number alone says nothing.
    func isResumption(of session: SessionID?) -> Bool { resumed != nil && self.session == session }
}

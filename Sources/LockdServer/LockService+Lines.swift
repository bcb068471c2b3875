import LockdCore
import LockdModel
import LockdWire

/// Lines to requests.
extension LockService {
    /// Does what the lines of a session ask for, as far as it may go on.
    mutating func takeLines(of session: Session, at now: MonotonicInstant) {
        current = Unmanaged.passUnretained(session)
        currentID = session.id
        defer {
            current = nil
            currentID = nil
            countLater(session)
            if session.input.bufferedByteCount > 0 || session.logged.input != nil || session.input.isDiscarding {
                session.logged.isInputChanged = true
                recordLater(session)
            }
        }
        if session.user.searchCost > Self.searchCostPerTurn, session.state == .open, session.mayTakeLine {
            // Another session of the user has searched enough for this turn.
            session.rest()
            return makeRunnable(session)
        }
        while session.mayTakeLine {
            guard session.input.takeLine({ take($0, of: session, at: now) }) else {
                session.hasLinesLeft = false
                return
            }
            if !session.hasSpoken {
                session.hasSpoken = true
                noteChange(of: session)
            }
            if !crowdedWatchers.isEmpty {
                // The commit is to say what is left of its input.
                session.logged.isInputChanged = true
                recordLater(session)
                relieveWatchers(at: now)
            }
        }
        session.hasLinesLeft = session.input.bufferedByteCount > 0
    }

    /// Does what a line asks for.
    ///
    /// Nothing here touches the session's input, where the line is.
    private mutating func take(_ line: LineFramer.Line, of session: Session, at now: MonotonicInstant) {
        switch line {
        case .complete(let bytes):
            if let request = BareRequest(bytes), take(request, of: session, at: now) { return }
            var tag: Tag?
            do throws(WireError) {
                let request = try RequestDecoder.decode(bytes, tag: &tag)
                perform(request, RequestID(session.id, tag: tag), of: session, at: now)
            } catch {
                refuse(error, tag: tag, to: session)
            }
        case .tooLong(let head):
            let refused = RequestDecoder.refusal(ofTooLong: head, limit: ProtocolLimits.lineByteCount)
            refuse(refused.error, tag: refused.tag, to: session)
        }
    }

    /// Does what a bare request asks for, if that can be done at once; else it is to be taken like any other.
    private mutating func take(_ request: BareRequest, of session: Session, at now: MonotonicInstant) -> Bool {
        if request.verb == .acquire, let log, !log.admit(Self.loggedByteCount(of: request.name)) { return false }
        supplyTokens(at: now)
        let id = RequestID(session.id, tag: request.tag)
        let token =
            switch request.verb {
            case .acquire: table.grantAtOnce(id, request.name, at: now)
            case .release: table.releaseAtOnce(id, request.name, at: now)
            }
        guard let token else { return false }
        session.output.append { ReplyEncoder.encode(answerTo: request, token, to: &$0) }
        markDirty(session)
        return true
    }

    mutating func refuse(_ error: WireError, tag: Tag?, to session: Session) {
        counts.refusedLines += 1
        say(.error(error), tag: tag, to: session)
    }
}

import LockdCore
import LockdModel
import LockdWire

/// A session that has asked to take the place of another one's connection.
struct Resumption {
    /// The session whose connection it is now.
    let session: Session
    /// The session whose it will be.
    let former: Session
    let hello: Request.Hello
    let id: RequestID
}

/// Sessions that go on with another connection.
extension LockService {
    /// Makes the connection of `session` that of `former`, if both are the same process's.
    ///
    /// Whoever has the connections does that, with ``takeResumptions()`` and ``finish(_:at:)``: what is left in the former one comes first.
    mutating func resume(_ former: Session, in session: Session, _ hello: Request.Hello, _ id: RequestID) {
        guard former.process.isKnown, former.process == session.process, former.isResumable else {
            return refuse(
                WireError(
                    .foreignProcess,
                    key: Text(cutting: "resume", limit: Text.shortLimit),
                    got: Text(cutting: "\(former.id)", limit: Text.shortLimit),
                    want: "session-of-your-process"
                ),
                tag: id.tag,
                to: session
            )
        }
        // Nothing more of its lines is taken before it is another session's.
        session.isBlocked = true
        // Should the daemon end before that is done, the next one finds the line as if nobody had taken it.
        var line: [UInt8] = []
        RequestEncoder.encode(TaggedRequest(tag: id.tag, .hello(hello)), to: &line)
        session.pendingHello = line
        session.logged.isInputChanged = true
        recordLater(session)
        resumptions.append(Resumption(session: session, former: former, hello: hello, id: id))
    }

    /// The sessions that are to be resumed, each once.
    mutating func takeResumptions() -> [Resumption] {
        defer { resumptions.removeAll() }
        return resumptions
    }

    /// Ends the session that has asked, and gives what it has sent to the one that goes on.
    mutating func finish(_ resumption: Resumption, at now: MonotonicInstant) {
        let (session, former) = (resumption.session, resumption.former)
        former.input.dropIncompleteLine()
        session.input.withBufferedBytes { former.input.append($0) }
        // It may have hung up already.
        if session.state == .open { apply(.inputEnded(session.id), at: now) }
        session.state = .ended
        sessions[session.id] = nil
        apply(.sessionEnded(session.id), at: now)
        close(session)
        former.client = resumption.hello.client
        former.isDetached = false
        noteChange(of: former)
        var lines: [UInt8] = []
        ReplyEncoder.encode(.welcome(welcome(to: former, isResumed: true)), tag: resumption.id.tag, to: &lines)
        former.output.beginStream(with: lines)
        // All of it is recorded anew, as it stands now.
        (former.logged.isInputChanged, former.logged.isInputStale) = (true, true)
        former.logged.isOutputStale = true
        former.logged.isTorn = false
        apply(.sessionAttached(former.id), at: now)
        markDirty(former)
        takeLines(of: former, at: now)
    }

    /// Welcomes a session as a new one, because the one that it was to go on as has ended meanwhile.
    mutating func greetAsNew(_ session: Session, _ resumption: Resumption, at now: MonotonicInstant) {
        session.client = resumption.hello.client
        session.isResumable = true
        session.isBlocked = false
        session.pendingHello = nil
        noteChange(of: session)
        answer(resumption.id, .welcome(welcome(to: session)))
        takeLines(of: session, at: now)
    }

    /// What a session is welcomed with.
    func welcome(to session: Session, isResumed: Bool = false) -> Reply.Welcome {
        Reply.Welcome(
            daemonVersion: identity.version,
            version: 1,
            session: session.id,
            process: identity.process,
            features: Self.features,
            lineByteCount: ProtocolLimits.lineByteCount,
            nameByteCount: LockName.maximumByteCount,
            resumed: isResumed ? remainder(of: session) : nil
        )
    }

    /// What a session has still.
    func remainder(of session: Session) -> Reply.Remainder {
        let (leases, waits) = table.loads(of: session.id)
        return Reply.Remainder(leaseCount: leases, waiterCount: waits)
    }
}

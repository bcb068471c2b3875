public import LockdModel

/// Writes reply lines, with their fields in the order of `docs/protocol.md`.
public enum ReplyEncoder {
    /// Appends the line of `reply`, its LF included, to `bytes`.
    public static func encode(_ reply: TaggedReply, to bytes: inout [UInt8]) {
        encode(reply.reply, tag: reply.tag, to: &bytes)
    }

    /// Appends the line of `reply` under `tag`, its LF included, to `bytes`.
    public static func encode(_ reply: Reply, tag: Tag?, to bytes: inout [UInt8]) {
        LineWriter.appendLine(to: &bytes, capacity: capacity(for: reply)) { writer in
            if let tag {
                writer.write(tag)
                writer.write(" ")
            }
            write(reply, to: &writer)
        }
    }

    /// Appends the line of the reply that grants the lock, or of the one that confirms its release, to `bytes`.
    public static func encode(answerTo request: BareRequest, _ token: FencingToken, to bytes: inout [UInt8]) {
        LineWriter.appendLine(to: &bytes, capacity: LineWriter.capacity(for: request.name.bytes.count)) { writer in
            if let tag = request.tag {
                writer.write(tag)
                writer.write(" ")
            }
            // Each word alone, so that the compiler knows how long it is.
            switch request.verb {
            case .acquire: writer.write("GRANTED ")
            case .release: writer.write("RELEASED ")
            }
            writer.write(bytes: request.name.bytes)
            writer.write(" token=")
            writer.write(token.value)
        }
    }

    private static func write(_ reply: Reply, to writer: inout LineWriter) {
        switch reply {
        case .welcome(let welcome): write(welcome, to: &writer)
        case .granted(let name, let token, let timeToLive, let predecessor):
            write("GRANTED ", name, token, timeToLive, to: &writer)
            if case .abandoned(let abandonment) = predecessor { write(abandonment, to: &writer) }
        case .held(let name, let token, let timeToLive):
            write("HELD ", name, token, timeToLive, to: &writer)
        case .queued(let names, let position, let on, let holder, let waiterCount):
            write("QUEUED ", names, to: &writer)
            writer.writeField(" position=", UInt64(position))
            writer.writeField(" on=", on)
            write(holder, waiterCount: waiterCount, to: &writer)
        case .busy(let name, let holder, let waiterCount):
            write("BUSY ", name, to: &writer)
            write(holder, waiterCount: waiterCount, to: &writer)
        case .timedOut(let name, let waited, let holder, let waiterCount):
            write("TIMEOUT ", name, to: &writer)
            writer.writeField(" waited=", measured: waited)
            write(holder, waiterCount: waiterCount, to: &writer)
        case .cancelled(let name, let waited):
            write("CANCELLED ", name, to: &writer)
            writer.writeField(" waited=", measured: waited)
        case .deadlock(let names, let edgeCount):
            write("DEADLOCK ", names, to: &writer)
            writer.writeField(" edges=", UInt64(edgeCount))
        case .edge(let line): write(line, to: &writer)
        case .released(let name, let token): write("RELEASED ", name, token, nil, to: &writer)
        case .renewed(let name, let token, let timeToLive):
            write("RENEWED ", name, token, timeToLive, to: &writer)
        case .notHeld(let name): write("NOTHELD ", LockNames(name), to: &writer)
        case .waitCancelled(let tag):
            writer.write("CANCELLED ")
            writer.write(tag)
        case .notWaiting(let tag):
            writer.write("NOTWAITING ")
            writer.write(tag)
        case .lease(let line): write(line, to: &writer)
        case .waiter(let line): write(line, to: &writer)
        case .hold(let line): write(line, to: &writer)
        case .end(let next): write(end: next, to: &writer)
        case .watching(let prefix):
            writer.write("WATCHING")
            writer.write(prefix: prefix)
        case .unwatched: writer.write("UNWATCHED")
        case .revoked(let name, let token): write("REVOKED ", name, token, nil, to: &writer)
        case .denied(let name, let token, let holder):
            write("DENIED ", name, token, nil, to: &writer)
            writer.writeField(" uid=", UInt64(holder.value))
        case .statistic(let key, let value):
            writer.write("STAT ")
            writer.write(spelling: key)
            writer.write("=")
            writer.write(spelling: value)
        case .histogram(let line): write(line, to: &writer)
        case .pong: writer.write("PONG")
        case .bye: writer.write("BYE")
        case .error(let error): write(error, to: &writer)
        case .lost(let names, let token, let reason):
            write("* LOST ", names, token, nil, to: &writer)
            write(reason, to: &writer)
        case .lostEverything(let reason):
            writer.write("* LOST")
            write(reason, to: &writer)
        case .restored(let session, let remainder): write(restored: session, remainder, to: &writer)
        case .watched(let event): write(event, to: &writer)
        }
    }

    private static func write(end next: Cursor?, to writer: inout LineWriter) {
        writer.write("END")
        guard let next else { return }
        writer.write(" next=")
        writer.write(next)
    }

    private static func write(
        restored session: SessionID,
        _ remainder: Reply.Remainder,
        to writer: inout LineWriter
    ) {
        writer.write("* RESTORED")
        writer.writeField(" session=", session.value)
        write(remainder, to: &writer)
    }

    static func write(_ verb: StaticString, _ names: LockNames, to writer: inout LineWriter) {
        writer.write(verb)
        writer.write(names)
    }

    static func write(
        _ verb: StaticString,
        _ names: LockNames,
        _ token: FencingToken,
        _ timeToLive: Milliseconds?,
        to writer: inout LineWriter
    ) {
        write(verb, names, to: &writer)
        writer.writeField(" token=", token.value)
        writer.writeField(" ttl=", given: timeToLive)
    }

    private static func write(_ abandonment: Abandonment, to writer: inout LineWriter) {
        writer.write(" previous=")
        writer.write(spelling: abandonment.ending.rawValue)
        writer.writeField(" previous-token=", abandonment.token.value)
        writer.writeField(" previous-pid=", abandonment.process)
        writer.writeField(" previous-uid=", abandonment.user)
        writer.writeField(" previous-command=", abandonment.command)
        writer.writeField(" previous-held=", measured: abandonment.held)
        writer.writeField(" previous-note=", abandonment.note)
    }

    private static func write(_ holder: Reply.Holder?, waiterCount: Int, to writer: inout LineWriter) {
        if let holder {
            write(holder: holder.peer, nil, to: &writer)
            writer.writeField(" held=", measured: holder.held)
            writer.writeField(" holder-note=", holder.note)
            if holder.count > 1 { writer.writeField(" holders=", UInt64(holder.count)) }
        }
        writer.writeField(" waiters=", UInt64(waiterCount))
    }

    private static func write(_ welcome: Reply.Welcome, to writer: inout LineWriter) {
        writer.write("WELCOME lockd=")
        writer.write(spelling: welcome.daemonVersion)
        writer.writeField(" v=", welcome.version)
        writer.writeField(" session=", welcome.session.value)
        writer.writeField(" pid=", welcome.process)
        writer.write(" features=")
        writer.write(spelling: welcome.features.joined(separator: ","))
        writer.writeField(" line=", UInt64(welcome.lineByteCount))
        writer.writeField(" name=", UInt64(welcome.nameByteCount))
        if let resumed = welcome.resumed { write(resumed, to: &writer) }
    }

    private static func write(_ remainder: Reply.Remainder, to writer: inout LineWriter) {
        writer.writeField(" leases=", UInt64(remainder.leaseCount))
        writer.writeField(" waiters=", UInt64(remainder.waiterCount))
    }

    private static func write(_ error: WireError, to writer: inout LineWriter) {
        writer.write("ERROR ")
        writer.write(spelling: error.code.rawValue)
        writer.writeField(" key=", error.key)
        writer.writeField(" got=", error.got)
        if let want = error.want {
            writer.write(" want=")
            writer.write(spelling: want)
        }
        writer.writeField(" limit=", error.limit.map(UInt64.init))
        if let scope = error.scope {
            writer.write(" scope=")
            writer.write(spelling: scope.rawValue)
        }
    }

    private static func write(_ reason: Reply.LossReason, to writer: inout LineWriter) {
        switch reason {
        case .logDamaged: writer.write(" reason=log-damaged")
        case .expired: writer.write(" reason=expired")
        case .revoked(let user, let process, let why):
            writer.write(" reason=revoked")
            writer.writeField(" by-uid=", user)
            writer.writeField(" by-pid=", process)
            writer.writeField(" why=", why)
        case .other(let reason): writer.writeField(" reason=", reason)
        }
    }
}

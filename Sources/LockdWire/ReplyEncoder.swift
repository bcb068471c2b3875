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
        let verb: StaticString = request.verb == .acquire ? "GRANTED " : "RELEASED "
        LineWriter.appendLine(to: &bytes, capacity: LineWriter.capacity(for: request.name.bytes.count)) { writer in
            if let tag = request.tag {
                writer.write(tag)
                writer.write(" ")
            }
            writer.write(verb)
            writer.write(bytes: request.name.bytes)
            writer.writeField(" token=", token.value)
        }
    }

    /// Room for the line of `reply`: little for the answers that a busy session gets most of.
    private static func capacity(for reply: Reply) -> Int {
        switch reply {
        case .granted(let names, _, _, .unremarkable), .released(let names, _):
            LineWriter.capacity(for: names.spellingByteCount)
        case .granted(let names, _, _, _), .held(let names, _, _), .busy(let names, _, _),
            .timedOut(let names, _, _, _),
            .cancelled(let names, _), .renewed(let names, _, _), .revoked(let names, _), .denied(let names, _, _),
            .lost(let names, _, _):
            LineWriter.capacity + (names.others.isEmpty ? 0 : names.spellingByteCount)
        case .welcome, .notHeld, .waitCancelled, .notWaiting, .lease, .waiter, .end, .statistic, .pong, .bye, .error:
            LineWriter.capacity
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
        case .end(let next):
            writer.write("END")
            if let next {
                writer.write(" next=")
                writer.write(next)
            }
        case .revoked(let name, let token): write("REVOKED ", name, token, nil, to: &writer)
        case .denied(let name, let token, let holder):
            write("DENIED ", name, token, nil, to: &writer)
            writer.writeField(" uid=", UInt64(holder.value))
        case .statistic(let key, let value):
            writer.write("STAT ")
            writer.write(key)
            writer.write("=")
            writer.write(value)
        case .pong: writer.write("PONG")
        case .bye: writer.write("BYE")
        case .error(let error): write(error, to: &writer)
        case .lost(let name, let token, let reason): write(lost: name, token, reason, to: &writer)
        }
    }

    private static func write(_ verb: StaticString, _ names: LockNames, to writer: inout LineWriter) {
        writer.write(verb)
        writer.write(names)
    }

    private static func write(
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
        writer.write(abandonment.ending.rawValue)
        writer.writeField(" previous-token=", abandonment.token.value)
        writer.writeField(" previous-pid=", abandonment.process)
        writer.writeField(" previous-uid=", abandonment.user)
        writer.writeField(" previous-command=", abandonment.command)
        writer.writeField(" previous-held=", measured: abandonment.held)
        writer.writeField(" previous-note=", abandonment.note)
    }

    private static func write(_ holder: Reply.Holder?, waiterCount: Int, to writer: inout LineWriter) {
        if let holder {
            writer.writeField(" holder-pid=", holder.peer.process)
            writer.writeField(" holder-uid=", holder.peer.user)
            writer.writeField(" holder-command=", holder.peer.command)
            writer.writeField(" holder-session=", holder.peer.session?.value)
            writer.writeField(" held=", measured: holder.held)
            if holder.count > 1 { writer.writeField(" holders=", UInt64(holder.count)) }
        }
        writer.writeField(" waiters=", UInt64(waiterCount))
    }

    private static func write(_ welcome: Reply.Welcome, to writer: inout LineWriter) {
        writer.write("WELCOME lockd=")
        writer.write(welcome.daemonVersion)
        writer.writeField(" v=", welcome.version)
        writer.writeField(" session=", welcome.session.value)
        writer.writeField(" pid=", welcome.process)
        writer.write(" features=")
        writer.write(welcome.features.joined(separator: ","))
        writer.writeField(" line=", UInt64(welcome.lineByteCount))
        writer.writeField(" name=", UInt64(welcome.nameByteCount))
    }

    private static func write(_ line: Reply.LeaseLine, to writer: inout LineWriter) {
        write("LEASE ", LockNames(line.name), line.token, nil, to: &writer)
        writer.writeField(line.holderLimit)
        write(line.peer, to: &writer)
        writer.writeField(" client=", line.client)
        writer.writeField(" held=", measured: line.held)
        writer.writeField(" ttl=", given: line.timeToLive)
        writer.writeField(" left=", measured: line.left)
        writer.writeField(" owner=", line.owner)
        writer.writeField(" note=", line.note)
        write(nameCount: line.nameCount, to: &writer)
        writer.writeField(" waiters=", UInt64(line.waiterCount))
    }

    private static func write(_ line: Reply.WaiterLine, to writer: inout LineWriter) {
        write("WAITER ", LockNames(line.name), to: &writer)
        writer.writeField(" position=", UInt64(line.position))
        writer.writeField(line.holderLimit)
        write(line.peer, to: &writer)
        writer.writeField(" client=", line.client)
        writer.writeField(" waited=", measured: line.waited)
        writer.writeField(" left=", measured: line.left)
        writer.writeField(" ttl=", given: line.timeToLive)
        writer.writeField(" owner=", line.owner)
        writer.writeField(" note=", line.note)
        write(nameCount: line.nameCount, to: &writer)
    }

    private static func write(nameCount: Int, to writer: inout LineWriter) {
        if nameCount > 1 { writer.writeField(" names=", UInt64(nameCount)) }
    }

    private static func write(_ peer: Reply.Peer, to writer: inout LineWriter) {
        writer.writeField(" session=", peer.session?.value)
        writer.writeField(" pid=", peer.process)
        writer.writeField(" uid=", peer.user)
        writer.writeField(" command=", peer.command)
    }

    private static func write(_ error: WireError, to writer: inout LineWriter) {
        writer.write("ERROR ")
        writer.write(error.code.rawValue)
        writer.writeField(" key=", error.key)
        writer.writeField(" got=", error.got)
        if let want = error.want {
            writer.write(" want=")
            writer.write(want)
        }
        writer.writeField(" limit=", error.limit.map(UInt64.init))
        if let scope = error.scope {
            writer.write(" scope=")
            writer.write(scope.rawValue)
        }
    }

    private static func write(
        lost names: LockNames,
        _ token: FencingToken,
        _ reason: Reply.LossReason,
        to writer: inout LineWriter
    ) {
        write("* LOST ", names, token, nil, to: &writer)
        switch reason {
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

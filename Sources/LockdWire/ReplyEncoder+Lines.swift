import LockdModel

/// Lines with many fields: those of listings and of deadlocks.
extension ReplyEncoder {
    static func write(_ line: Reply.LeaseLine, to writer: inout LineWriter) {
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
        writer.writeField(" bound=", line.binding)
        writer.writeField(" detached=", measured: line.detached)
        writer.writeField(" waiters=", UInt64(line.waiterCount))
    }

    static func write(_ line: Reply.WaiterLine, to writer: inout LineWriter) {
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
        writer.writeField(" detached=", measured: line.detached)
    }

    static func write(_ line: Reply.HoldLine, to writer: inout LineWriter) {
        write("HOLD ", LockNames(line.name), line.token, nil, to: &writer)
        writer.write(" outcome=")
        writer.write(spelling: line.outcome.rawValue)
        write(line.peer, to: &writer)
        writer.writeField(" waited=", measured: line.waited)
        writer.writeField(" held=", measured: line.held)
        writer.writeField(" ago=", measured: line.ago)
        writer.writeField(" note=", line.note)
    }

    static func write(_ line: Reply.EdgeLine, to writer: inout LineWriter) {
        write("EDGE ", LockNames(line.name), to: &writer)
        writer.writeField(" waiter-pid=", line.waiterProcess)
        writer.writeField(" waiter-owner=", line.waiterOwner)
        writer.writeField(" waiter-session=", line.waiterSession?.value)
        write(holder: line.holder, line.holderOwner, to: &writer)
        switch line.obstacle {
        case .lease(let held, let token):
            writer.writeField(" held=", measured: held)
            writer.writeField(" token=", token.value)
        case .request(let waited): writer.writeField(" waited=", measured: waited)
        }
    }

    private static func write(nameCount: Int, to writer: inout LineWriter) {
        if nameCount > 1 { writer.writeField(" names=", UInt64(nameCount)) }
    }

    private static func write(_ peer: Reply.Peer, to writer: inout LineWriter) {
        writer.writeField(" session=", peer.session?.value)
        writer.writeField(" pid=", peer.process)
        writer.writeField(" uid=", peer.user)
        writer.writeField(" command=", peer.command)
        writer.writeField(" unit=", peer.unit)
    }

    static func write(holder: Reply.Peer, _ owner: Text?, to writer: inout LineWriter) {
        writer.writeField(" holder-pid=", holder.process)
        writer.writeField(" holder-uid=", holder.user)
        writer.writeField(" holder-command=", holder.command)
        writer.writeField(" holder-unit=", holder.unit)
        writer.writeField(" holder-owner=", owner)
        writer.writeField(" holder-session=", holder.session?.value)
    }
}

/// Events of WATCH.
extension ReplyEncoder {
    static func write(_ event: WatchEvent, to writer: inout LineWriter) {
        switch event {
        case .queued(let names, let peer, let position, let note):
            write("* QUEUED ", names, to: &writer)
            write(peer, to: &writer)
            writer.writeField(" position=", UInt64(position))
            writer.writeField(" note=", note)
        case .unqueued(let names, let peer, let waited, let reason):
            write("* UNQUEUED ", names, to: &writer)
            write(peer, to: &writer)
            writer.writeField(" waited=", measured: waited)
            writer.write(" reason=")
            writer.write(spelling: reason.rawValue)
        case .granted(let names, let peer, let token, let waited, let note):
            write("* GRANTED ", names, token, nil, to: &writer)
            write(peer, to: &writer)
            writer.writeField(" waited=", measured: waited)
            writer.writeField(" note=", note)
        case .over(let names, let peer, let outcome, let token, let held, let note):
            write(verb(of: outcome), names, token, nil, to: &writer)
            write(peer, to: &writer)
            writer.writeField(" held=", measured: held)
            writer.writeField(" note=", note)
        case .missed(let count):
            writer.write("* MISSED")
            writer.writeField(" count=", count)
        }
    }

    private static func verb(of outcome: LeaseOutcome) -> StaticString {
        switch outcome {
        case .released: "* RELEASED "
        case .expired: "* EXPIRED "
        case .revoked: "* REVOKED "
        case .ended: "* ABANDONED "
        }
    }
}

import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// What people read.
@Suite struct SentenceTests {
    private let name: LockNames
    private let deploy: Reply.Holder

    init() throws {
        name = LockNames(try LockName("build/main"))
        let peer = Reply.Peer(
            session: SessionID(1),
            process: ProcessID(4121),
            user: UserID(5),
            command: try Text("deploy", limit: Text.shortLimit)
        )
        deploy = Reply.Holder(peer: peer, held: Milliseconds(12_345))
    }

    @Test func busyLockNamesItsHolder() {
        #expect(
            LockdClientError.waitTimedOut(name, waited: nil, deploy, waiterCount: 0).description
                == #"lock "build/main" was not granted: it is held by pid 4121 (deploy) for 12 s"#
        )
    }

    @Test func timeoutSaysHowLongItWaitedAndWhoElseDoes() {
        #expect(
            LockdClientError.waitTimedOut(name, waited: Milliseconds(250), deploy, waiterCount: 1).description
                == #"lock "build/main" was not granted after a wait of 250 ms: it is held by pid 4121 (deploy) for 12 s; "#
                + "1 request waits for it"
        )
    }

    @Test func unitAndNoteOfTheHolderAreSaid() throws {
        var holder = deploy
        holder.peer.unit = try Text("ci.service", limit: 255)
        holder.note = try Text("step 2\u{1B}[2J", limit: 255)
        #expect(
            LockdClientError.waitTimedOut(name, waited: nil, holder, waiterCount: 0).description
                == #"lock "build/main" was not granted: it is held by pid 4121 (deploy, ci.service) for 12 s, "#
                + "which says: step 2\u{FFFD}[2J"
        )
    }

    @Test func severalLocksAreAllNamed() throws {
        let names = try LockNames(["a", "b\n", "c"])
        #expect(
            LockdClientError.waitTimedOut(names, waited: nil, deploy, waiterCount: 0).description
                == "locks \"a\", \"b\u{FFFD}\" and \"c\" were not granted: one of them is held by pid 4121 (deploy) for 12 s"
        )
        #expect(
            LockdClientError.alreadyHeld(try LockNames(["a", "b"]), FencingToken(7)).description
                == #"locks "a" and "b" are held already by the owner that asks for them, with the token 7; "#
                + "release them first, or ask as another owner"
        )
        let loss = LeaseLoss(.closed, lockNames: ["a", "b"], token: 7)
        #expect(
            loss.description.hasPrefix(#"the lease on locks "a" and "b" (token 7) was lost: the client was closed"#)
        )
        #expect(LockdClientError.leaseLost(loss).lockNames == ["a", "b"])
    }

    @Test func ownerThatHoldsAPartIsToldSo() throws {
        let error = LockdClientError.refused(
            WireError(.partlyHeld, want: "release-first"),
            names: try LockNames(["a", "b"])
        )
        #expect(error.code == .alreadyHeld)
        #expect(
            error.description
                == #"the owner that asks for locks "a" and "b" holds a part of them already; "#
                + "release that first, or ask as another owner"
        )
    }

    @Test func unknownHolderIsNotInvented() {
        #expect(
            LockdClientError.waitTimedOut(name, waited: nil, nil, waiterCount: 3).description
                == #"lock "build/main" was not granted: it is not free; 3 requests wait for it"#
        )
    }

    @Test(arguments: [
        (0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_999, "119 s"), (120_000, "2 min"), (7_199_999, "119 min"),
        (7_200_000, "2 h"), (172_800_000, "2 d"),
    ])
    func durationHasTwoDigitsOrSo(_ milliseconds: Int64, _ words: String) {
        #expect(Sentence.roughly(Milliseconds(milliseconds)) == words)
    }

    @Test func strangersTextCannotMoveTheCursor() {
        #expect(Sentence.quotable("a\u{1B}[2J\nb\u{202E}é 日") == "a\u{FFFD}[2J\u{FFFD}b\u{FFFD}é 日")
    }

    @Test func missingDaemonIsSaidWhereAndHowToStart() {
        let error = LockdClientError.daemonUnavailable(ConnectFailure(path: "/tmp/x.sock", number: 2))
        #expect(
            error.description
                == "cannot connect to lockd at /tmp/x.sock: No such file or directory; "
                + #"start it with "lockd --socket /tmp/x.sock", or name another socket"#
        )
    }

    @Test(arguments: [
        (
            WireError(.tooManyWaiters, limit: 1000, scope: .session), LockdClientError.Code.limitReached,
            #"lockd has refused the request for lock "build/main": its limit of 1000 for one process is reached "#
                + "(too-many-waiters); try again later"
        ),
        (
            WireError(.tooManyLeases, limit: 5, scope: .daemon), .limitReached,
            #"lockd has refused the request for lock "build/main": its limit of 5 for all together is reached "#
                + "(too-many-leases); try again later"
        ),
        (
            WireError(.init(rawValue: "new-rule")), .refused,
            #"lockd has refused the request for lock "build/main": new-rule"#
        ),
    ])
    func refusalSaysWhatWouldHelp(_ wireError: WireError, _ code: LockdClientError.Code, _ words: String) {
        let error = LockdClientError.refused(wireError, names: name)
        #expect(error.code == code)
        #expect(error.description == words)
        #expect(error.lockName == "build/main")
    }

    @Test(arguments: [
        (LeaseLoss.Reason.expired, nil, "it was not renewed in time; this process was stopped or starved"),
        (
            .revoked, LeaseLoss.Revocation(userID: 0, processID: 12, why: "maintenance"),
            "it was revoked by pid 12 of uid 0: maintenance"
        ),
        (.revoked, LeaseLoss.Revocation(userID: nil, processID: nil, why: nil), "it was revoked"),
        (.connectionLost, nil, "the connection to lockd was given up"),
        (.forgotten, nil, "lockd does not know the session any more"),
        (.logDamaged, nil, "lockd has restarted with a damaged record"),
        (.closed, nil, "the client was closed"),
        (.forked, nil, "this process is a fork"),
        (.unknown, nil, "lockd says that it is not held"),
    ])
    func lossIsExplained(_ reason: LeaseLoss.Reason, _ revocation: LeaseLoss.Revocation?, _ words: String) {
        let loss = LeaseLoss(reason, revocation, lockNames: ["a"], token: 7)
        #expect(loss.description.hasPrefix(#"the lease on lock "a" (token 7) was lost: \#(words)"#))
        let error = LockdClientError.leaseLost(loss)
        #expect(error.description == loss.description)
        #expect(error.loss == loss)
    }

    @Test func errorsAreEqualByTheirCodes() {
        #expect(LockdClientError.invalidArgument("a") == .invalidArgument("b"))
        #expect(LockdClientError.forked != .closed)
    }
}

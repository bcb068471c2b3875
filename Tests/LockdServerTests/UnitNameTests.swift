import Testing

@testable import LockdServer

@Suite struct UnitNameTests {
    @Test(arguments: [
        ("/system.slice/nginx.service", "nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("/system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main.service"),
        ("/system.slice/dbus.socket", "dbus.socket"),
        ("/system.slice/home.mount", "home.mount"),
        ("/system.slice/dev-sda2.swap", "dev-sda2.swap"),
        ("/init.scope", "init.scope"),
        // What is behind the unit is its own.
        ("/system.slice/systemd-udevd.service/udev", "systemd-udevd.service"),
        ("/system.slice/containerd.service/kubepods-besteffort.slice:cri-containerd:7", "containerd.service"),
        ("/machine.slice/machine-web.scope/payload/system.slice/cron.service", "machine-web.scope"),
        // Containers.
        ("/system.slice/docker-0123456789abcdef.scope", "docker-0123456789abcdef.scope"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-0a.scope",
            "cri-containerd-0a.scope"
        ),
        ("/machine.slice/libpod-0a.scope/container", "libpod-0a.scope"),
        // Users.
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "foo.service"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-7.scope",
            "vte-spawn-7.scope"
        ),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope"),
        ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice", "user@1000.service"),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-0a.scope/container", "libpod-0a.scope"),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("/user.slice/user-0.slice/session-c1.scope", "session-c1.scope"),
        ("/capsule.slice/capsule@box.service/app.slice/foo.service", "foo.service"),
        // Escaped.
        (#"/system.slice/system-systemd\x2dfsck.slice/systemd-fsck@dev-sda1.service"#, "systemd-fsck@dev-sda1.service"),
        (#"/user.slice/user-1000.slice/user@1000.service/app.slice/app-a\x2db@c.service"#, #"app-a\x2db@c.service"#),
        ("/system.slice/_cpu.service", "cpu.service"),
        ("/_cgroup.slice/_tasks.scope", "tasks.scope"),
        ("/system.slice/__x.service", "_x.service"),
        // Removed, or seen from inside of a namespace.
        ("/system.slice/nginx.service (deleted)", "nginx.service"),
        ("/../../system.slice/nginx.service", "nginx.service"),
        ("/../nginx.service", "nginx.service"),
    ])
    func unitOfAControlGroup(_ path: String, _ unit: String) {
        #expect(found("0::\(path)\n") == unit)
        #expect(found("1:name=systemd:\(path)\n") == unit)
    }

    @Test(arguments: [
        "/", "", "/system.slice", "/user.slice/user-1000.slice", "/docker/0123456789abcdef",
        "/kubepods/besteffort/pod1/0a",
        "/lxc/web", "/foo", "/system.slice/foo", "/system.slice/foo/nginx.service", "/nginx.service.d", "/.service",
        "/system.slice/.service", "/@.service", "/a b.service", "/ü.service", "/..", "/system.slice (deleted)", "/_",
        "/_.service",
        "/foo.timer", "/\(String(repeating: "a", count: 248)).service",
    ])
    func otherControlGroupsAreNoUnits(_ path: String) {
        #expect(found("0::\(path)\n") == nil)
    }

    @Test func longestNameIsAUnit() {
        let name = String(repeating: "a", count: 247) + ".service"
        #expect(found("0::/system.slice/\(name)\n") == name)
    }

    @Test func secondVersionGoesBeforeTheFirst() {
        let first = "1:name=systemd:/system.slice/first.service\n"
        #expect(found("12:pids:/a.service\n\(first)0::/system.slice/second.service\n") == "second.service")
        #expect(found("12:pids:/a.service\n\(first)0::/\n") == "first.service")
        #expect(found("12:pids:/a.service\n0::/\n\(first)") == "first.service")
    }

    @Test func otherHierarchiesAreNotSystemds() {
        #expect(found("4:memory:/system.slice/a.service\n3:cpu,cpuacct:/b.service\n1:name=openrc:/c.service\n") == nil)
    }

    @Test func lineThatWasCutIsNotBelieved() {
        #expect(found("0::/system.slice/nginx.service") == nil)
        #expect(found("1:name=systemd:/a.service\n0::/system.slice/b.serv") == "a.service")
        #expect(found("") == nil)
        #expect(found("\n:\n0\n0:\n0:::\n") == nil)
    }

    private func found(_ file: String) -> String? {
        UnitName.unit(inControlGroups: Array(file.utf8)[...]).map { String(decoding: $0, as: UTF8.self) }
    }
}

package Lockd;

# A client of lockd: leases that outlive the daemon. Needs nothing but Perl. One process, one thread; not to be used behind a fork.
use strict;
use warnings;
use Errno;
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

# Connects. Dies if there is no daemon.
sub new {
    my ($class, $path) = @_;
    $path //= $ENV{LOCKD_SOCKET} // '/run/lockd/lockd.sock';
    local $SIG{PIPE} = 'IGNORE';
    my $self = bless {path => $path, tag => 0, asked => [], leases => {}}, $class;
    $self->_connect or die "lockd: cannot connect to $path: $!\n";
    return $self;
}

# Waits for the lease on a name, for so many seconds at the most if that is said; returns its token, or nothing.
sub acquire {
    my ($self, $name, %options) = @_;
    my $request = 'ACQUIRE ' . _escape($name);
    $request .= sprintf ' wait=%dms', 1000 * $options{wait} if defined $options{wait};
    my $answer = $self->_ask($request);
    return if $answer =~ /^(?:BUSY|TIMEOUT) /;
    my ($token) = $answer =~ /^GRANTED .*? token=(\d+)/ or die "lockd: $answer\n";
    $self->{leases}{$token} = $name;
    return $token;
}

# Ends a lease; says whether it was held until now.
sub release {
    my ($self, $token) = @_;
    my $name = delete $self->{leases}{$token} or return 0;
    return $self->_ask('RELEASE ' . _escape($name) . " token=$token") =~ /^RELEASED /;
}

# Whether a lease has been lost, as far as that has been heard.
sub lost {
    my ($self, $token) = @_;
    while (IO::Select->new($self->{socket})->can_read(0)) {
        defined $self->_read or $self->_reconnect;
        $self->_take($_) for $self->_lines;
    }
    return !exists $self->{leases}{$token};
}

# Sends a request under a tag of its own, and returns its answer. The daemon may end as often as it likes meanwhile.
sub _ask {
    my ($self, $request) = @_;
    my $asked = {line => '#' . ++$self->{tag} . " $request\n", tag => '#' . $self->{tag}};
    push @{$self->{asked}}, $asked;
    $self->_send($asked->{line});
    until (defined $asked->{answer}) {
        $self->_take($_) for $self->_lines;
        last if defined $asked->{answer};
        defined $self->_read or $self->_reconnect;
    }
    return $asked->{answer};
}

# What a line means. A second answer under a tag means nothing.
sub _take {
    my ($self, $line) = @_;
    if ($line =~ /^\* LOST reason=/) { $self->{leases} = {}; return }
    if ($line =~ /^\* LOST .*? token=(\d+)/) { delete $self->{leases}{$1}; return }
    my ($tag, $answer) = $line =~ /^(#\S+) (.*)/ or return;
    return if $answer =~ /^QUEUED /;
    for my $asked (grep { $_->{tag} eq $tag } @{$self->{asked}}) {
        $asked->{answer} = $answer;
        # A release that was done before the daemon ended is answered so when it is sent again.
        $asked->{answer} = 'RELEASED ' if $asked->{is_repeated} && $answer =~ /^NOTHELD / && $asked->{line} =~ / RELEASE /;
    }
    $self->{asked} = [grep { $_->{tag} ne $tag } @{$self->{asked}}];
}

sub _connect {
    my ($self) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $self->{path}) or return 0;
    @$self{qw(socket buffer)} = ($socket, '');
    my $resume = defined $self->{session} ? " resume=$self->{session}" : '';
    $self->_send("HELLO client=perl-example$resume\n");
    my ($welcome) = ();
    until (defined $welcome) {
        defined $self->_read or return 0;
        ($welcome) = grep { /^(?:WELCOME|ERROR) / } $self->_lines;
    }
    my ($session) = $welcome =~ /^WELCOME .*? session=(\d+)/ or die "lockd: $welcome\n";
    # Another number: the daemon knows nothing of the one before, and of what that had.
    $self->{leases} = {} if defined $self->{session} && $session ne $self->{session};
    $self->{session} = $session;
    return 1;
}

# Connects again, goes on with the session, and sends what was not answered once more, which is safe.
sub _reconnect {
    my ($self) = @_;
    my $pause = 0.01;
    until ($self->_connect) {
        sleep $pause;
        $pause = 1 if ($pause *= 2) > 1;
    }
    $_->{is_repeated} = 1 for @{$self->{asked}};
    $self->_send($_->{line}) for @{$self->{asked}};
}

# If that fails, so will the next read.
sub _send {
    my ($self, $line) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (length $line) {
        my $count = syswrite $self->{socket}, $line;
        if (defined $count) { substr $line, 0, $count, '' }
        elsif (!$!{EINTR}) { return }
    }
}

# Reads what is there, or waits for it; nothing at the end of the stream.
sub _read {
    my ($self) = @_;
    while (1) {
        my $count = sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
        return $count || undef if defined $count || !$!{EINTR};
    }
}

# The complete lines that were read.
sub _lines {
    my ($self) = @_;
    my @lines;
    push @lines, $1 while $self->{buffer} =~ s/^([^\n]*)\n//;
    return @lines;
}

# A name is bytes; all but the visible characters without #, % and = are spelled %XX.
sub _escape {
    my ($bytes) = @_;
    utf8::encode($bytes) if utf8::is_utf8($bytes);
    $bytes =~ s/([^!-"\$&-<>-~])/sprintf '%%%02X', ord $1/ge;
    return $bytes;
}

1;
